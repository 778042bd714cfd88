"""The earlier systems' routes, asked as their clients ask."""

import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image
import pytest

from .conftest import Serve
from .test_marks import problem
from .test_registry import blank_page, stamp  # noqa: F401 - a fixture

Draw = Callable[..., bytes]


@pytest.fixture
def known(serve: Serve, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of a server with an empty registry."""
    with serve(registry=tmp_path / "stamps.db") as client:
        yield client


def form(**parts: tuple[str | None, bytes]) -> dict[str, Any]:
    """A form as browsers send it: a file input that was left empty has an empty file name."""
    body = b""
    for field, (name, content) in parts.items():
        file = "" if name is None else f'; filename="{name}"'
        head = f'--x\r\nContent-Disposition: form-data; name="{field}"{file}\r\n\r\n'
        body += head.encode() + content + b"\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    return {"content": body + b"--x--\r\n", "headers": headers}


def test_the_root_answers_programs_ok_and_sends_people_on(api: httpx.Client) -> None:
    assert api.get("/").text == "OK"
    answer = api.get("/", headers={"Accept": "text/html,*/*"})
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


def test_bounding_boxes(api: httpx.Client, models: Any, letter: bytes) -> None:
    said = api.post("/bounding-boxes", files={"file": ("a.jpg", letter)}).json()
    (box,) = said["bboxes"]
    (mark,) = models.stamps(letter).marks
    x0, y0, x1, y1 = map(round, mark.box)
    assert box == {
        "xmin": x0,
        "ymin": y0,
        "width": x1 - x0,
        "height": y1 - y0,
        "certainty": round(mark.score, 4),
    }
    assert api.post("/bounding-boxes", files={"file": blank_page()}).json() == {"bboxes": []}
    problem(api.post("/bounding-boxes", files={"file": b"x"}), 400, "unreadable_image")


def test_image_with_boxes(api: httpx.Client, letter: bytes) -> None:
    answer = api.post("/image-w-boxes", files={"file": letter})
    assert answer.headers["content-type"] == "image/jpeg"
    drawn = PIL.Image.open(io.BytesIO(answer.content))
    assert drawn.size == PIL.Image.open(io.BytesIO(letter)).size


@pytest.mark.parametrize(
    "path", ["/embedding-from-cropped", "/embedding-from-copped", "/embeddings-from-cropped"]
)
def test_embedding_from_cropped(api: httpx.Client, stamp: Draw, path: str) -> None:  # noqa: F811
    (vector,) = api.post(path, files={"file": stamp()}).json().values()
    assert abs(np.linalg.norm(vector) - 1) < 1e-3


def test_embeddings(api: httpx.Client, letter: bytes) -> None:
    said = api.post("/embeddings", files={"file": letter}).json()
    (one,) = said["embeddings"]
    assert set(one) == {"bbox", "emb"}
    assert one["bbox"] == api.post("/bounding-boxes", files={"file": letter}).json()["bboxes"][0]


def test_stamp_recognition_adds_and_finds(known: httpx.Client, letter: bytes) -> None:
    added = known.post(
        "/images/add_stamp",
        files={"scan": ("a.jpg", letter)},
        data={"scan_stamp_group_name": "sender"},
    )
    one = {"stamp": 0, "error": None, "status": "successed"}
    assert added.json() == {
        "data": {"sender": {"status": "proccessed", "error": None, "data": [one]}}
    }
    again = known.post(
        "/images/add_stamp",
        files={"scan": ("a.jpg", letter)},
        data={"scan_stamp_group_name": "sender"},
    ).json()
    assert again["data"]["sender"]["error"] == "not unique stamp group name"
    found = known.post(
        "/images/upload",
        **form(
            one=("a.jpg", letter),
            two=("b.png", blank_page()),
            three=("c.pdf", b"no PDF"),
            four=("", b""),
        ),
    )
    assert found.status_code == 200
    data = found.json()["data"]
    assert {field: one["error"] for field, one in data.items() if field != "one"} == {
        "two": "no stamps found",
        "three": "forbidden file",
        "four": "no file submitted",
    }
    (stamp_,) = data["one"]["data"]
    if stamp_["error"] is None:
        assert data["one"]["status"] == "processed"
        assert set(stamp_["data"]) == {"stamp_name", "stamp_picture", "accuracy"}
        assert stamp_["data"]["stamp_name"] == "sender"
        picture = base64.b64decode(stamp_["data"]["stamp_picture"])
        assert PIL.Image.open(io.BytesIO(picture)).format == "PNG"
    else:
        assert (stamp_["error"], stamp_["data"]) == ("no matching stamp found", {})
        assert data["one"]["error"] == "no stamps identified"


def test_stamp_recognition_takes_the_names_of_one_picture(
    known: httpx.Client, letter: bytes
) -> None:
    answer = known.post(
        "/images/add_stamp",
        files={"document_picture": ("a.jpg", letter)},
        data={"stamp_name1": "first", "stamp_name2": "second"},
    ).json()
    assert answer["data"]["first"]["status"] == "proccessed"
    assert answer["data"]["second"] == {
        "status": "failed",
        "error": "no stamps found",
        "data": [],
    }
    names = [one["name"] for one in known.get("/v1/registry/designs").json()]
    assert names == ["first"]


def test_stamp_recognition_failures_of_adding(known: httpx.Client, letter: bytes) -> None:
    data = known.post(
        "/images/add_stamp",
        **form(
            a=("a.txt", b"text"),
            b=("b.png", blank_page()),
            c=("", b""),
            **{f"{field}_stamp_group_name": (None, field.upper().encode()) for field in "abc"},
        ),
    ).json()["data"]
    assert {name: one["error"] for name, one in data.items()} == {
        "A": "not allowed file",
        "B": "no stamps found",
        "C": "no file submitted",
    }
    assert all(one["status"] == "failed" for one in data.values())
    unnamed = form(a=("a.jpg", letter), a_stamp_group_name=(None, b""))
    (one,) = known.post("/images/add_stamp", **unnamed).json()["data"].values()
    assert "name" in one["error"]


def test_stamp_recognition_compares_and_helps(api: httpx.Client, letter: bytes) -> None:
    said = api.post("/images/compare", files={"a": letter, "b": letter}).json()
    assert set(said) == {"similarity", "verdict", "reason", "status", "error"}
    assert 0 <= said["similarity"] <= 1
    problem(api.post("/images/compare", files={"a": letter}), 422, "invalid_request")
    assert "POST /images/upload" in api.get("/help").json()


def test_seals_are_added_searched_and_removed(known: httpx.Client, letter: bytes) -> None:
    encoded = base64.b64encode(letter).decode()
    items = [{"image_b64": encoded, "seal_id": "seal-1"}]
    added = known.post("/seals/ingest_base64", json={"items": items}).json()
    assert (added["seals_detected"], added["status"]) == (1, "success")
    (stored,) = added["embeddings_stored"]
    assert (stored["seal_id"], stored["embedding_dim"]) == ("seal-1", 256)
    assert base64.b64decode(stored["crop_image_b64"]).startswith(b"\x89PNG")
    found = known.post("/seals/search", json={"image_b64": encoded, "top_k": 5}).json()
    assert set(found) == {
        "query_seal_id",
        "top_1",
        "top_3",
        "total_in_database",
        "returned_count",
        "status",
    }
    assert found["top_1"] == found["top_3"][0]
    assert set(found["top_1"]) == {"seal_id", "similarity_score", "rank", "image_base64"}
    assert (found["top_1"]["seal_id"], found["top_1"]["rank"]) == ("seal-1", 1)
    assert (found["total_in_database"], found["returned_count"]) == (1, 1)
    health = known.get("/health?verify=true&max_images=3&force=true&verify_ttl_sec=1").json()
    assert health["total_in_database"] == 1
    assert set(health["models"].values()) == {"ok"}
    gone = known.post("/seals/delete", json={"seal_ids": ["seal-1", "seal-2"]}).json()
    assert gone == {
        "deleted_count": 1,
        "failed_count": 1,
        "deleted_ids": ["seal-1"],
        "failed_ids": ["seal-2"],
        "status": "partial_success",
    }


def test_seals_that_cannot_be_are_refused_and_none_is_added(
    known: httpx.Client, letter: bytes
) -> None:
    good = base64.b64encode(letter).decode()
    for bad in ("!!!", base64.b64encode(b"text").decode(), base64.b64encode(blank_page()).decode()):
        items = [{"image_b64": good, "seal_id": "a"}, {"image_b64": bad, "seal_id": "b"}]
        assert known.post("/seals/ingest_base64", json={"items": items}).status_code == 400
        assert known.post("/seals/search", json={"image_b64": bad}).status_code == 400
    problem(known.post("/seals/search", json={"top_k": 3}), 422, "invalid_request")
    problem(known.post("/seals/ingest_base64", json={"items": [{}]}), 422, "invalid_request")
    assert known.get("/v1/registry/designs").json() == []
