"""The client: the calls of the pipelines, on a server."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image
import pytest

import platemark as pm
from platemark import errors
from platemark.client import RemotePipeline, RemoteRegistry
from platemark.pipeline import Pipeline
from platemark.registry import Registry

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


def test_copies_that_are_covered(remote: Any, models: Any, document: bytes) -> None:
    here = pm.redact(document, style="box", min_score=0.3, pipeline=models.stamps)
    assert here.pages[0].marks
    there = remote.redact(document, kind="stamp", style="box", min_score=0.3)
    # A PDF has an id of its own.
    same = {"source": here.source, "data": there.to_dict()["data"]}
    assert there.to_dict() | same == here.to_dict() | same
    assert len(there.data) == len(here.data)
    with pytest.raises(errors.UnreadableImage):
        remote.redact(b"no picture")


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
        thread.join(300)
    assert len(asked) == 3


def test_a_server_that_is_not_there_or_no_server_of_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pm.Client(url) as client, pytest.raises(errors.ServiceError, match="cannot be reached"):
        client.plates(PHOTO)


def test_readiness(remote: Any) -> None:
    assert remote.ready()
    assert remote.ready(verify=True)


@pytest.fixture
def registry(serve: Serve, tmp_path: Path) -> Iterator[Any]:
    """The registry of a server that has no designs yet."""
    with (
        serve(registry=tmp_path / "stamps.db") as server,
        pm.Client(str(server.base_url)) as client,
    ):
        yield client.registry


def test_the_registry_has_the_calls_of_one_here() -> None:
    own = {name for name in vars(Registry) if not name.startswith("_")}
    there = {name for name in vars(RemoteRegistry) if not name.startswith("_")}
    # These are for whoever has the file or the models.
    apart = {"open", "close", "model", "check_model", "picture", "reindex", "build_index"}
    apart |= {"calibrate", "calibration", "read"}
    assert own - there == apart
    assert there - own == {"cut_out"}


def test_stamps_are_kept_on_the_server_and_found_again(registry: Any) -> None:
    (added,) = registry.add("A/S ACME", LETTER, tags=["blue", "round"], owner="x")
    assert (added.new_design, added.new_sample, added.alike) == (True, True, ())
    assert registry.add("A/S ACME", LETTER)[0].new_sample is False
    design = registry.design("A/S ACME")
    assert design == registry.design(design.id)
    assert (design.tags, design.owner, design.samples) == (("blue", "round"), "x", 1)
    assert registry.samples("A/S ACME") == [added.sample]
    assert registry.cut_out(added.sample.id).mode == "RGBA"
    (found,) = registry.identify(LETTER, top_k=1)
    (candidate,) = found.candidates
    assert (found.page, candidate.design, candidate.accepted) == (0, design, True)
    assert found.mark.identity == candidate.identity


def test_stamps_are_found_by_their_text_on_the_server(registry: Any) -> None:
    (added,) = registry.add("Garden", LETTER, read=True)
    assert "НЕКОММЕРЧЕСК" in added.sample.text
    assert registry.samples("Garden") == [added.sample]
    assert registry.designs("некоммерческ") == [added.design]
    assert registry.designs("некоммерческ garten") == []


def test_what_is_said_of_designs_is_changed_on_the_server(registry: Any, tmp_path: Path) -> None:
    half = np.asarray(PIL.Image.open(LETTER).convert("RGB").resize((500, 700)))
    registry.add("one", LETTER)
    registry.add("two", half, duplicates="allow", notes="smaller")
    assert len(registry) == 2
    assert registry.update("two", owner="me").owner == "me"
    assert registry.retire("two").retired
    assert [design.name for design in registry.designs(retired=False)] == ["one"]
    assert registry.reinstate("two").retired is None
    assert registry.rename("two", "second").name == "second"
    assert registry.merge("one", "second").samples == 2
    first, _ = registry.samples("one")
    assert registry.split("one", [first.id], "apart").samples == 1
    registry.export(tmp_path / "all.zip")
    assert registry.remove_sample(first.id).samples == 0
    assert registry.remove("apart").name == "apart"
    registry.remove("one")
    assert registry.load(tmp_path / "all.zip") == 2
    assert [design.name for design in registry.designs(limit=1)] == ["apart"]
    assert [design.name for design in registry.designs(offset=1)] == ["one"]


def test_what_the_registry_refuses_is_raised_as_here(registry: Any, tmp_path: Path) -> None:
    with pytest.raises(errors.DesignNotFound, match="nobody"):
        registry.design("nobody")
    with pytest.raises(errors.DesignNotFound):
        registry.remove("01ARZ3NDEKTSV4RRFFQ69G5FAV")
    blank = np.full((200, 200, 3), 255, np.uint8)
    for call in (registry.identify, lambda picture: registry.add("blank", picture)):
        with pytest.raises(errors.UnreadableImage):
            call(b"no picture")
    with pytest.raises(errors.NoStampFound):
        registry.add("blank", blank)
    registry.add("one", LETTER)
    with pytest.raises(errors.DuplicateDesign):
        registry.add("two", LETTER)
    with pytest.raises(errors.InvalidDesign):
        registry.merge("one", "one")
    (tmp_path / "bad.zip").write_bytes(b"no archive")
    with pytest.raises(errors.ArchiveError):
        registry.load(tmp_path / "bad.zip")
    assert len(registry) == 1
