"""Forms of requests that clients send: HEAD, the ways to write base64, files of which some fail."""

import base64
import http.client
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from .conftest import LETTER, Serve, as_png
from .test_access import blank
from .test_marks import problem, without_time

STARTS = [
    "",
    " ",
    "data:image/jpeg;base64,",
    " \r\ndata:image/jpeg;base64,",
    "DATA:IMAGE/JPEG;BASE64,",
    "data:;base64,",
    'data:image/jpeg;name="a b.jpg";base64, ',
]


def wrapped(encoded: str) -> str:
    return "\r\n".join(encoded[start : start + 76] for start in range(0, len(encoded), 76))


ALPHABETS: dict[str, Callable[[bytes], str]] = {
    "standard": lambda data: base64.b64encode(data).decode(),
    "unpadded": lambda data: base64.b64encode(data).decode().rstrip("="),
    "url-safe": lambda data: base64.urlsafe_b64encode(data).decode(),
    "url-safe unpadded": lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
    "in lines": lambda data: wrapped(base64.b64encode(data).decode()),
}


@pytest.fixture(scope="module")
def odd_photo(photo: bytes) -> bytes:
    """The photo, so long that its base64 has padding; bytes after the end are not looked at."""
    return photo + bytes(-len(photo) % 3 + 1)


@pytest.mark.parametrize("alphabet", ALPHABETS)
@pytest.mark.parametrize("start", STARTS)
def test_base64_is_read_however_it_is_written(
    api: httpx.Client, models: Any, odd_photo: bytes, start: str, alphabet: str
) -> None:
    encoded = ALPHABETS[alphabet](odd_photo)
    assert alphabet in ("standard", "in lines") or encoded != ALPHABETS["standard"](odd_photo)
    answer = api.post("/v1/plates", json={"files": [{"name": "a.jpg", "data": start + encoded}]})
    assert answer.status_code == 200
    expected = models.plates(odd_photo).to_dict() | {"source": "a.jpg"}
    assert expected["marks"]
    assert without_time(answer.json()) == without_time([expected])


def test_a_data_url_may_be_percent_encoded(api: httpx.Client, odd_photo: bytes) -> None:
    encoded = base64.b64encode(odd_photo).decode()
    data = "data:image/jpeg;base64," + encoded.replace("+", "%2B").replace("=", "%3d")
    assert "%" in data
    (result,) = api.post("/v1/plates", json={"files": [{"data": data}]}).json()
    assert result["marks"]


@pytest.mark.parametrize("data", ["!!!", "abcde", "data:image/jpeg,%FF%D8", "data:;base64", "===="])
def test_what_is_no_base64_says_which_forms_are_read(api: httpx.Client, data: str) -> None:
    said = problem(
        api.post("/v1/plates", json={"files": [{"name": "a.jpg", "data": data}]}),
        400,
        "unreadable_image",
    )
    assert "a.jpg" in said["detail"]


@pytest.fixture(scope="module")
def server(serve: Serve, tmp_path_factory: pytest.TempPathFactory, letter: bytes) -> Any:
    """A client of a server whose registry has one design."""
    with serve(registry=tmp_path_factory.mktemp("forms") / "stamps.db") as client:
        added = client.post("/v1/registry/designs", data={"name": "A/S"}, files={"files": letter})
        assert added.json()[0]["added"]
        yield client


def test_head_is_answered_wherever_get_is(server: httpx.Client) -> None:
    design = server.get("/v1/registry/designs").json()[0]["design"]
    (sample,) = server.get(f"/v1/registry/designs/{design}").json()["sample_list"]
    described = server.get("/openapi.json").json()["paths"]
    paths = [path for path, operations in described.items() if "get" in operations]
    assert {"/healthz", "/readyz", "/metrics", "/v1/registry/designs"} <= set(paths)
    for path in [*paths, "/", "/docs", "/redoc", "/openapi.json", "/readyz?verify=true"]:
        filled = path.format(design=design, sample=sample["sample"])
        get, head = server.get(filled), server.head(filled)
        assert (head.status_code, get.status_code) == (200, 200), path
        assert head.headers["content-type"] == get.headers["content-type"]
        assert head.content == b""


def test_an_answer_to_head_has_no_body_on_the_wire(server: httpx.Client) -> None:
    line = http.client.HTTPConnection(server.base_url.host, server.base_url.port or 80, timeout=300)
    for path in ("/healthz", "/v1/nothing", "/v1/registry/designs"):
        line.request("HEAD", path)
        answer = line.getresponse()
        assert answer.read() == b""
    line.request("GET", "/healthz")  # the line would be out of step had a body been sent
    assert line.getresponse().read() == b'{"status":"ok"}'


def test_head_of_what_is_not_there_or_only_takes_posts(server: httpx.Client) -> None:
    assert server.head("/v1/nothing").status_code == 404
    assert server.head("/v1/plates").status_code == 405
    assert server.head("/v1/registry/designs/nobody").status_code == 404


def test_a_request_by_head_is_counted_as_one(server: httpx.Client) -> None:
    server.head("/healthz")
    figures = server.get("/metrics").text
    assert 'method="HEAD",route="/healthz",status="200"' in figures


FILES = {"files": ("bad.jpg", b"no picture")}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/plates",
        "/v1/stamps",
        "/v1/embeddings",
        "/v1/segment",
        "/v1/registry/identify",
        "/v1/registry/designs?name=x",
    ],
)
def test_where_every_file_failed_the_status_says_so(
    server: httpx.Client, letter: bytes, path: str
) -> None:
    # The registry of other tests has the letter already.
    imprint = LETTER.parents[1] / "compare" / "imprint-1.jpg"
    good = imprint.read_bytes() if "designs" in path else letter
    said = problem(server.post(path, files=FILES), 400, "unreadable_image")
    (result,) = said["results"]
    assert result["source"] == "bad.jpg"
    assert result["error"] == {"code": said["code"], "message": said["detail"]}
    assert "bad.jpg" in said["detail"]
    some = server.post(path, files=[("files", FILES["files"]), ("files", ("a.jpg", good))])
    assert some.status_code == 200
    assert ["error" in one for one in some.json()] == [True, False]


def test_of_several_errors_the_gravest_is_the_status(serve: Serve, photo: bytes) -> None:
    with serve(max_pixels=500_000) as client:
        files = [
            ("files", ("bad.jpg", b"no picture")),
            ("files", ("large.png", blank((1000, 600)))),
        ]
        said = problem(client.post("/v1/plates", files=files), 413, "input_too_large")
        sources = [one["source"] for one in said["results"]]
        assert sources == ["bad.jpg", "large.png"]
        codes = [one["error"]["code"] for one in said["results"]]
        assert codes == ["unreadable_image", "input_too_large"]
        assert client.post("/v1/plates", files=[*files, ("files", photo)]).status_code == 200


def test_a_page_without_marks_did_not_fail(api: httpx.Client) -> None:
    empty = as_png(np.full((300, 300, 3), 250, np.uint8))
    answer = api.post("/v1/stamps", files={"files": empty})
    assert answer.status_code == 200
    assert answer.json()[0]["marks"] == []
