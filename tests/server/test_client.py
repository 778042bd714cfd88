"""The client: the calls of the pipelines, on a server."""

import socket
import threading
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image
import pytest

import platemark as pm
from platemark import errors
from platemark.client import RemotePipeline
from platemark.pipeline import Pipeline

from .conftest import LETTER, PHOTO, Serve
from .test_access import READ, WRITE


@pytest.fixture(scope="module")
def remote(api: httpx.Client) -> Any:
    """A client of the server with the default settings."""
    with pm.Client(str(api.base_url)) as client:
        yield client


def test_it_has_the_calls_of_a_pipeline() -> None:
    for name in ("__call__", "pages", "stream"):
        assert callable(getattr(RemotePipeline, name))
        assert getattr(Pipeline, name).__annotations__.keys() == (
            getattr(RemotePipeline, name).__annotations__.keys()
        )


def test_every_input_gives_what_the_pipeline_here_gives(remote: Any, models: Any) -> None:
    with PIL.Image.open(PHOTO) as file:
        picture = file.convert("RGB")
    for value in (str(PHOTO), PHOTO, PHOTO.read_bytes(), np.asarray(picture), picture):
        here, there = models.plates(value), remote.plates(value)
        assert there.marks
        assert there.source == here.source
        assert [mark.to_dict() for mark in there.marks] == [mark.to_dict() for mark in here.marks]
        assert there.plot().size == here.plot().size


def test_stamps_come_with_their_vectors(remote: Any, models: Any) -> None:
    (here,), (there,) = models.stamps(LETTER).marks, remote.stamps(LETTER).marks
    assert there.embedding == here.embedding
    assert there.mask == here.mask


def test_pages_of_a_document(remote: Any, document: bytes) -> None:
    pages = remote.stamps.pages(document)
    assert [bool(page.marks) for page in pages] == [True, False, True]
    assert [page.page for page in pages[1:]] == [1, 2]
    assert remote.stamps(document).page == 0


def test_comparisons(remote: Any, models: Any) -> None:
    here = pm.compare(LETTER, LETTER, pipeline=models.stamps)
    there = remote.compare(LETTER, LETTER.read_bytes())
    assert there.to_dict() == here.to_dict()
    assert there.plot().size == here.plot().size
    with pytest.raises(errors.InputError):
        remote.compare(LETTER, LETTER, page_b=3)


def test_failures_are_the_errors_they_are_here(remote: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    for call in (remote.plates, remote.plates.pages):
        with pytest.raises(errors.UnreadableImage, match=r"broken\.jpg"):
            call(broken)
        with pytest.raises(errors.UnreadableImage, match="does not exist"):
            call(tmp_path / "missing.jpg")
    results = list(remote.plates.stream([broken, PHOTO, tmp_path / "missing.jpg"]))
    codes = [result.error and result.error.code for result in results]
    assert codes == ["unreadable_image", None, "unreadable_image"]
    assert results[1].marks


def test_keys_and_refusals(serve: Serve) -> None:
    with serve(read_keys=READ, write_keys=WRITE, max_files=1) as server:
        url = str(server.base_url)
        with pm.Client(url, key=READ) as client:
            assert client.plates(PHOTO).marks
            with pytest.raises(errors.InvalidRequest):
                client.request("POST", "/v1/plates", files=[("files", b"x")] * 2)
            with pytest.raises(errors.Forbidden):
                client.request("DELETE", "/v1/registry/designs/x")
        with pm.Client(url) as client, pytest.raises(errors.Unauthorized, match="key"):
            client.plates(PHOTO)


def test_a_busy_server_is_asked_again_as_late_as_it_says() -> None:
    asked = []
    said = b'{"code": "overloaded", "detail": "full"}'
    head = "HTTP/1.1 {}\r\nRetry-After: 0\r\nConnection: close\r\nContent-Length: {}\r\n\r\n"
    refusal = head.format("429 Too Many Requests", len(said)).encode() + said
    fine = head.format("200 OK", 2).encode() + b"[]"

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for reply in (refusal, refusal, fine):
                line, _ = listener.accept()
                with line:
                    asked.append(line.recv(65536))
                    line.sendall(reply)

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pm.Client(url, retries=2) as client:
            assert client.request("GET", "/").json() == []
        thread.join(10)
    assert len(asked) == 3


def test_a_server_that_is_not_there_or_no_server_of_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pm.Client(url) as client, pytest.raises(errors.ServiceError, match="cannot be reached"):
        client.plates(PHOTO)


def test_readiness(remote: Any) -> None:
    assert remote.ready()
    assert remote.ready(verify=True)
