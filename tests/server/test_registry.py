"""The registry over HTTP: added, found, changed, and never half done."""

import base64
import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import PIL.Image
import pytest

import platemark as pm
from platemark.registry import Registry

from .conftest import Serve, as_png
from .test_marks import problem

DrawStamp = Callable[..., Any]
DESIGNS = "/v1/registry/designs"


@pytest.fixture
def known(serve: Serve, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of a server with an empty registry."""
    with serve(registry=tmp_path / "stamps.db") as client:
        yield client


@pytest.fixture(scope="session")
def stamp(draw_stamp: DrawStamp) -> Callable[..., bytes]:
    """Draw a stamp that fills a picture."""

    def make(*text: str, shape: str = "circle", turn: float = 0.0) -> bytes:
        page = np.full((300, 300, 3), 250, np.uint8)
        draw_stamp(page, shape, (150, 150), 260, "blue", turn=turn, text=text or ("ACME",))
        return as_png(page)

    return make


def add(client: httpx.Client, name: str, *pictures: bytes, **params: Any) -> list[dict[str, Any]]:
    files = [("files", (f"{n}.png", picture)) for n, picture in enumerate(pictures)]
    answer = client.post(
        DESIGNS, params={"cropped": True} | params, data={"name": name}, files=files
    )
    assert answer.status_code == 200, answer.text
    pages: list[dict[str, Any]] = answer.json()
    return [one for page in pages for one in page["added"]]


def test_a_stamp_is_added_shown_and_found_again(
    known: httpx.Client, stamp: Callable[..., bytes]
) -> None:
    picture = stamp("ACME Ltd", "No 12345")
    (added,) = add(known, "ACME Ltd", picture)
    assert (added["new_design"], added["new_sample"]) == (True, True)
    design = added["design"]["design"]
    listed = known.get(DESIGNS)
    assert [one["name"] for one in listed.json()] == ["ACME Ltd"]
    assert listed.headers["x-total-count"] == "1"
    shown = known.get(f"{DESIGNS}/{design}").json()
    assert shown == known.get(f"{DESIGNS}/ACME Ltd").json()
    (sample,) = shown["sample_list"]
    assert sample["source"] == "0.png"
    for part, mode in (("picture", "RGB"), ("ink", "L"), ("cut-out", "RGBA")):
        answer = known.get(f"/v1/registry/samples/{sample['sample']}", params={"part": part})
        assert PIL.Image.open(io.BytesIO(answer.content)).mode == mode
    (page,) = known.post(
        "/v1/registry/identify?cropped=true", files={"files": ("q.png", picture)}
    ).json()
    (mark,) = page["marks"]
    assert mark["candidates"][0]["design"] == design
    assert mark["identity"] == {
        key: mark["candidates"][0][key] for key in ("name", "design", "similarity", "accepted")
    }
    assert mark["identity"]["similarity"] > 0.99


def test_the_same_picture_is_kept_once_and_another_name_for_it_is_refused(
    known: httpx.Client, stamp: Callable[..., bytes]
) -> None:
    picture = stamp()
    add(known, "one", picture)
    (again,) = add(known, "one", picture)
    assert (again["new_design"], again["new_sample"]) == (False, False)
    files = {"files": ("two.png", picture)}
    refused = known.post(DESIGNS, params={"cropped": True}, data={"name": "two"}, files=files)
    assert refused.status_code == 409
    assert refused.json()["code"] == "duplicate_design"
    assert known.get(DESIGNS).headers["x-total-count"] == "1"


def test_the_three_ways_to_send_a_stamp(known: httpx.Client, stamp: Callable[..., bytes]) -> None:
    add(known, "form", stamp("form"), duplicates="allow")
    params = {"name": "query", "cropped": True, "duplicates": "allow"}
    raw = known.post(DESIGNS, params=params, content=stamp("query"))
    encoded = base64.b64encode(stamp("json", shape="rectangle")).decode()
    said = {"name": "json", "tags": ["a", "b"], "owner": "me", "duplicates": "allow"}
    body = said | {"files": [{"name": "j.png", "data": encoded}]}
    json = known.post(f"{DESIGNS}?cropped=true", json=body)
    assert raw.json()[0]["added"][0]["design"]["name"] == "query"
    assert json.json()[0]["added"][0]["design"]["tags"] == ["a", "b"]
    assert {one["name"] for one in known.get(DESIGNS).json()} == {"form", "query", "json"}
    assert [one["name"] for one in known.get(f"{DESIGNS}?text=me").json()] == ["json"]


def test_stamps_that_are_found_say_whose_they_are(known: httpx.Client, letter: bytes) -> None:
    pages = known.post(DESIGNS, data={"name": "sender"}, files={"files": letter}).json()
    assert pages[0]["added"]
    (page,) = known.post("/v1/stamps", files={"files": letter}).json()
    assert page["marks"][0]["identity"]["name"] == "sender"
    (page,) = known.post("/v1/stamps?identify=false", files={"files": letter}).json()
    assert page["marks"][0]["identity"] is None


def test_a_design_is_renamed_retired_merged_split_and_removed(
    known: httpx.Client, stamp: Callable[..., bytes]
) -> None:
    ids = [
        add(known, name, stamp(name), duplicates="allow")[0]["design"]["design"]
        for name in ("a", "b", "c")
    ]
    changed = known.patch(f"{DESIGNS}/{ids[0]}", json={"name": "A", "notes": "first"}).json()
    assert (changed["name"], changed["notes"]) == ("A", "first")
    assert known.patch(f"{DESIGNS}/A", json={"retired": True}).json()["retired"]
    assert [one["name"] for one in known.get(f"{DESIGNS}?retired=true").json()] == ["A"]
    assert known.patch(f"{DESIGNS}/A", json={"retired": False}).json()["retired"] is None
    merged = known.post(f"{DESIGNS}/A/merge", json={"others": ["b"]}).json()
    assert merged["samples"] == 2
    samples = [one["sample"] for one in known.get(f"{DESIGNS}/A").json()["sample_list"]]
    parted = known.post(f"{DESIGNS}/A/split", json={"samples": samples[1:], "name": "B"}).json()
    assert (parted["name"], parted["samples"]) == ("B", 1)
    assert known.delete(f"/v1/registry/samples/{samples[1]}").json()["samples"] == 0
    assert known.delete(f"{DESIGNS}/c").json()["name"] == "c"
    problem(known.get(f"{DESIGNS}/c"), 404, "design_not_found")


@pytest.mark.parametrize("name", ["A/S ACME", "a/b/merge", "/", "50% off?#"])
def test_a_design_is_reached_by_any_name_it_may_have(
    known: httpx.Client, stamp: Callable[..., bytes], name: str
) -> None:
    add(known, name, stamp("a"))
    add(known, "other", stamp("b"), duplicates="allow")
    path = f"{DESIGNS}/{quote(name, safe='')}"
    assert known.get(path).json()["name"] == name
    assert known.head(path).status_code == 200
    assert known.patch(path, json={"notes": "n"}).json()["notes"] == "n"
    assert known.post(f"{path}/merge", json={"others": ["other"]}).json()["samples"] == 2
    first, _ = known.get(path).json()["sample_list"]
    apart = known.post(f"{path}/split", json={"samples": [first["sample"]], "name": "apart"})
    assert apart.json()["samples"] == 1
    assert known.delete(path).json()["name"] == name
    problem(known.get(path), 404, "design_not_found")


def test_what_cannot_be_is_refused_and_nothing_is_changed(
    known: httpx.Client, stamp: Callable[..., bytes]
) -> None:
    add(known, "a", stamp("a"), duplicates="allow")
    add(known, "b", stamp("b"), duplicates="allow")
    before = known.get(DESIGNS).json()
    for answer, status, code in (
        (known.patch(f"{DESIGNS}/a", json={"name": "b"}), 409, "duplicate_design"),
        (known.patch(f"{DESIGNS}/a", json={"name": ""}), 422, "invalid_design"),
        (known.patch(f"{DESIGNS}/a", json={"colour": "red"}), 422, "invalid_request"),
        (known.patch(f"{DESIGNS}/a", json={"notes": "x" * 2_000_000}), 413, "input_too_large"),
        (known.patch(f"{DESIGNS}/x", json={"name": "y"}), 404, "design_not_found"),
        (known.post(f"{DESIGNS}/a/merge", json={"others": ["a"]}), 422, "invalid_design"),
        (known.post(f"{DESIGNS}/a/merge", json={"others": ["x"]}), 404, "design_not_found"),
        (known.post(DESIGNS, files={"files": stamp()}), 422, "invalid_request"),
        (known.get("/v1/registry/samples/x"), 404, "design_not_found"),
        (known.post("/v1/registry/import", content=b"no archive"), 400, "archive_error"),
    ):
        problem(answer, status, code)
    blank = known.post(DESIGNS, data={"name": "c"}, files={"files": blank_page()})
    problem(blank, 400, "no_stamp_found")
    assert known.get(DESIGNS).json() == before


def blank_page() -> bytes:
    return as_png(np.full((300, 300, 3), 250, np.uint8))


def test_an_archive_goes_from_one_server_to_another(
    serve: Serve, tmp_path: Path, stamp: Callable[..., bytes]
) -> None:
    with serve(registry=tmp_path / "a.db") as first, serve(registry=tmp_path / "b.db") as second:
        for name in ("ACME", "Müller & Söhne 🖃"):
            add(first, name, stamp(name[:4]), duplicates="allow")
        archive = first.get("/v1/registry/export")
        assert archive.headers["content-type"] == "application/zip"
        answer = second.post("/v1/registry/import", content=archive.content)
        assert answer.json() == {"designs": 2}
        assert second.get(DESIGNS).json() == first.get(DESIGNS).json()


def test_without_a_registry_its_routes_say_so(api: httpx.Client) -> None:
    said = problem(api.get(DESIGNS), 503, "registry_unavailable")
    assert "--registry" in said["detail"]


def test_a_key_for_reading_changes_nothing(
    serve: Serve, tmp_path: Path, stamp: Callable[..., bytes]
) -> None:
    read, write = "read-key-0123456789", "write-key-0123456789"
    with serve(registry=tmp_path / "s.db", read_keys=read, write_keys=write) as client:
        client.headers["X-API-Key"] = write
        add(client, "a", stamp("a"))
        client.headers["X-API-Key"] = read
        assert [one["name"] for one in client.get(DESIGNS).json()] == ["a"]
        assert client.get("/v1/registry/export").status_code == 200
        picture = {"files": stamp("a")}
        assert client.post("/v1/registry/identify", files=picture).status_code == 200
        encoded = {"items": [{"image_b64": "aa", "seal_id": "b"}]}
        for answer in (
            client.post(DESIGNS, data={"name": "b"}, files=picture),
            client.patch(f"{DESIGNS}/a", json={"name": "b"}),
            client.delete(f"{DESIGNS}/a"),
            client.post(f"{DESIGNS}/a/merge", json={"others": ["a"]}),
            client.post(f"{DESIGNS}/a/split", json={"samples": ["a"], "name": "b"}),
            client.delete("/v1/registry/samples/a"),
            client.post("/v1/registry/import", content=b"x"),
            client.post("/images/add_stamp", files={"b": picture["files"]}),
            client.post("/seals/ingest_base64", json=encoded),
            client.post("/seals/delete", json={"seal_ids": ["a"]}),
        ):
            problem(answer, 403, "forbidden")
        assert [one["name"] for one in client.get(DESIGNS).json()] == ["a"]


def test_compare_over_http_says_what_the_library_says(
    api: httpx.Client, models: Any, stamp: Callable[..., bytes]
) -> None:
    a, b = stamp("ACME Ltd", "No 12345"), stamp("ACME Ltd", "No 12345", turn=20)
    files = [("files", ("a.png", a)), ("files", ("b.png", b))]
    answer = api.post("/v1/compare?cropped=true", files=files)
    expected = pm.compare(a, b, pipeline=models.stamps, cropped=True)
    assert answer.json() == expected.to_dict()
    picture = api.post("/v1/compare?cropped=true&format=png", files=files)
    assert PIL.Image.open(io.BytesIO(picture.content)).size == expected.plot().size
    problem(api.post("/v1/compare", files=files[:1]), 422, "invalid_request")
    files[1] = ("files", ("b.png", blank_page()))
    assert api.post("/v1/compare", files=files).status_code == 400


def test_kill_during_writes_loses_nothing_that_was_acknowledged(
    tmp_path: Path, stamp: Callable[..., bytes]
) -> None:
    path = tmp_path / "stamps.db"
    pictures = [stamp(f"No {n}") for n in range(4)]
    command = [sys.executable, "-m", "platemark", "serve", "--port", "0", "--registry", str(path)]
    environment = os.environ | {"PLATEMARK_LOG_LEVEL": "error"}
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert child.stderr is not None
    match = re.search(r"serves on (http://\S+),", child.stderr.readline())
    assert match
    url, enough = match[1], threading.Event()
    acknowledged: set[str] = set()

    def write(worker: int) -> None:
        with httpx.Client(base_url=url, timeout=300) as client:
            for n in range(1000):
                picture = pictures[n % 4]
                try:
                    added = add(client, f"{worker}-{n}", picture, duplicates="allow")
                except httpx.HTTPError:
                    return
                acknowledged.update(one["design"]["name"] for one in added)
                if n == 3:
                    enough.set()

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(2)]
    for thread in threads:
        thread.start()
    assert enough.wait(300)
    child.send_signal(signal.SIGKILL)
    for thread in threads:
        thread.join(300)
    child.communicate()
    assert len(acknowledged) >= 4
    with Registry.open(path, create=False) as registry:
        assert acknowledged <= {design.name for design in registry.designs()}
