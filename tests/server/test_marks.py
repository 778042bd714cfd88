"""The routes that find marks give what the pipelines give."""

import base64
import io
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import PIL.Image
import pytest

from platemark.masks import InkMask
from platemark.types import RedactedFile, Result


def without_time(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in one.items() if key != "elapsed_ms"} for one in results]


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said: dict[str, Any] = answer.json()
    assert (said["status"], said["code"]) == (status, code)
    assert said["detail"]
    assert "Traceback" not in answer.text
    assert said["request_id"] == answer.headers["x-request-id"]
    return said


def test_plates_are_those_of_the_pipeline(api: httpx.Client, models: Any, photo: bytes) -> None:
    answer = api.post("/v1/plates", files={"files": ("car.jpg", photo)})
    assert answer.status_code == 200
    expected = models.plates(photo).to_dict() | {"source": "car.jpg"}
    assert expected["marks"]
    assert without_time(answer.json()) == without_time([expected])
    assert Result.from_dict(answer.json()[0]).to_dict() == answer.json()[0]


def test_plates_are_checked_against_a_text(api: httpx.Client, models: Any, photo: bytes) -> None:
    text = models.plates(photo).marks[0].text
    (one,) = api.post(f"/v1/plates/verify?text={text}", files={"files": photo}).json()
    assert (one["expected"]["text"], one["expected"]["verdict"]) == (text, "match")
    assert one["marks"]
    (other,) = api.post("/v1/plates/verify?text=XX0000XX", files={"files": photo}).json()
    assert other["expected"]["verdict"] != "match"
    problem(api.post("/v1/plates/verify?text=-", files={"files": photo}), 422, "invalid_request")


def test_plates_are_taken_as_cut_out_and_regions_narrowed(api: httpx.Client, photo: bytes) -> None:
    (one,) = api.post("/v1/plates?cropped=1", files={"files": photo}).json()
    assert [mark["box"] for mark in one["marks"]] == [[0.0, 0.0, one["width"], one["height"]]]
    answer = api.post("/v1/plates?regions=eu-pl,nowhere", files={"files": photo})
    assert "nowhere" in problem(answer, 422, "invalid_request")["detail"]


def test_a_region_of_interest_and_texts_to_watch_for(
    api: httpx.Client, models: Any, photo: bytes, letter: bytes
) -> None:
    (mark,) = models.plates(photo)
    x0, y0, x1, y1 = mark.box
    near = f"{x0 - 40},{y0 - 40},{x1 + 40},{y1 + 40}"
    url = f"/v1/plates?watch=AB12,{mark.text}&region_of_interest="
    (found,) = api.post(f"{url}{near}", files={"files": photo}).json()
    assert found["marks"][0]["watch"]["text"] == mark.text
    assert np.allclose(found["marks"][0]["box"], mark.box, atol=20)
    (nothing,) = api.post(f"{url}0,0,100,100", files={"files": photo}).json()
    assert nothing["marks"] == []
    (page,) = api.post("/v1/stamps?region_of_interest=0,0,800,300", files={"files": letter}).json()
    assert page["marks"] == []
    problem(api.post(f"{url}1,2", files={"files": photo}), 422, "invalid_request")
    corners = f"{x0},{y0} {x1},{y0} {x1},{y1} {x0},{y1}"
    straight = {"prewarp": f"{corners} lens=-0.001", "region_of_interest": near}
    (same,) = api.post("/v1/plates", params=straight, files={"files": photo}).json()
    assert same["marks"][0]["text"] == mark.text
    bad = api.post("/v1/plates", params={"prewarp": "1,2"}, files={"files": photo})
    problem(bad, 422, "invalid_request")
    problem(api.post("/v1/plates?watch=--", files={"files": photo}), 422, "invalid_request")


def test_alternatives_are_as_many_as_asked_for(api: httpx.Client, photo: bytes) -> None:
    for most in (0, 2, 12):
        answer = api.post(f"/v1/plates?alternatives={most}", files={"files": photo}).json()
        listed = answer[0]["marks"][0]["alternatives"]
        assert len(listed) == most
        assert [one["score"] for one in listed] == sorted(
            (one["score"] for one in listed), reverse=True
        )


def test_several_photos_give_one_plate(api: httpx.Client, models: Any, photo: bytes) -> None:
    smaller = io.BytesIO()
    picture = PIL.Image.open(io.BytesIO(photo))
    picture.resize((350, 350)).save(smaller, "PNG")
    files = [("files", ("a.jpg", photo)), ("files", ("b.png", smaller.getvalue()))]
    bad = ("files", ("bad.jpg", b"no picture"))
    failed, car = api.post("/v1/plates?together=true", files=[*files, bad]).json()
    assert failed["error"]["code"] == "unreadable_image"
    merged = models.plates.merge(
        [replace(models.plates(photo), source="a.jpg"), models.plates(smaller.getvalue())]
    )
    assert (car["text"], len(car["views"])) == (merged[0].reading.text, 2)
    assert "expected" not in car
    (asked,) = api.post(f"/v1/plates/verify?together=true&text={car['text']}", files=files).json()
    assert asked["expected"]["verdict"] == "match"
    problem(api.post("/v1/plates?together=true", files=[bad]), 400, "unreadable_image")


def test_stamps_are_those_of_the_pipeline(api: httpx.Client, models: Any, letter: bytes) -> None:
    answer = api.post("/v1/stamps?embedding=true", files={"files": ("a.jpg", letter)})
    expected = models.stamps(letter).to_dict(embedding=True) | {"source": "a.jpg"}
    assert expected["marks"]
    assert without_time(answer.json()) == without_time([expected])
    plain = api.post("/v1/stamps", files={"files": letter}).json()
    assert "embedding" not in plain[0]["marks"][0]


def test_stamps_are_read_where_that_is_asked(api: httpx.Client, models: Any, letter: bytes) -> None:
    answer = api.post("/v1/stamps?read=true", files={"files": ("a.jpg", letter)})
    expected = models.reading(letter).to_dict() | {"source": "a.jpg"}
    assert expected["marks"][0]["text"]
    assert without_time(answer.json()) == without_time([expected])


def test_a_file_comes_in_three_ways_and_the_answer_is_the_same(
    api: httpx.Client, photo: bytes
) -> None:
    encoded = base64.b64encode(photo).decode()
    answers = [
        api.post("/v1/plates", files={"files": ("x.jpg", photo)}),
        api.post("/v1/plates?name=x.jpg", content=photo, headers={"Content-Type": "image/jpeg"}),
        api.post("/v1/plates", json={"files": [{"name": "x.jpg", "data": encoded}]}),
        api.post(
            "/v1/plates",
            json={"files": [{"name": "x.jpg", "data": f"data:image/jpeg;base64,{encoded}"}]},
        ),
    ]
    results = [without_time(answer.json()) for answer in answers]
    assert results[0][0]["marks"]
    assert all(result == results[0] for result in results)


def test_a_bad_file_among_good_ones_has_an_error_and_the_others_go_on(
    api: httpx.Client, photo: bytes
) -> None:
    files = [
        ("files", ("a.jpg", photo)),
        ("files", ("b.jpg", b"no picture")),
        ("files", ("c.jpg", photo[: len(photo) // 2])),
        ("files", ("d.png", b"")),
        ("files", ("e.jpg", photo)),
    ]
    results = api.post("/v1/plates", files=files).json()
    assert [one["source"] for one in results] == ["a.jpg", "b.jpg", "c.jpg", "d.png", "e.jpg"]
    assert [one.get("error", {}).get("code") for one in results] == [
        None,
        *["unreadable_image"] * 3,
        None,
    ]
    assert results[0]["marks"] == results[4]["marks"]


def test_a_document_gives_a_result_for_each_page_or_the_one_wanted(
    api: httpx.Client, document: bytes
) -> None:
    pages = api.post("/v1/stamps", files={"files": ("c.pdf", document)}).json()
    assert [(one["source"], one["page"]) for one in pages] == [("c.pdf", n) for n in range(3)]
    assert [bool(one["marks"]) for one in pages] == [True, False, True]
    assert pages[0]["marks"] == pages[2]["marks"]
    (third,) = api.post("/v1/stamps?page=2", files={"files": ("c.pdf", document)}).json()
    assert without_time([third]) == without_time([pages[2]])
    for head in (b"\xef\xbb\xbf", b"\r\n", b"Content-Type: application/pdf\r\n\r\n"):
        (same,) = api.post("/v1/stamps?page=2", files={"files": ("c.jpg", head + document)}).json()
        assert same["marks"] == third["marks"]
    problem(api.post("/v1/stamps?page=3", files={"files": ("c.pdf", document)}), 400, "input_error")


def test_min_score_filters(api: httpx.Client, photo: bytes) -> None:
    for score, found in ((0.01, True), (1.0, False)):
        (result,) = api.post(f"/v1/plates?min_score={score}", files={"files": photo}).json()
        assert bool(result["marks"]) is found
        assert all(mark["score"] >= score for mark in result["marks"])
    problem(api.post("/v1/plates?min_score=2", files={"files": photo}), 422, "invalid_request")


@pytest.mark.parametrize("kind", ["plate", "stamp"])
def test_annotated_draws_on_the_picture(api: httpx.Client, letter: bytes, kind: str) -> None:
    answer = api.post(f"/v1/annotated?kind={kind}&min_score=0.3", files={"files": letter})
    assert answer.headers["content-type"] == "image/png"
    drawn = np.asarray(PIL.Image.open(io.BytesIO(answer.content)))
    plain = np.asarray(PIL.Image.open(io.BytesIO(letter)).convert("RGB"))
    assert drawn.shape == plain.shape
    # JPEG decoders differ by a little; a drawn line by a lot
    assert bool((np.abs(drawn.astype(int) - plain).max(axis=2) > 60).any()) is (kind == "stamp")


@pytest.mark.parametrize("style", ["blur", "box", "pixelate"])
def test_a_copy_has_no_plate_that_can_be_read(
    api: httpx.Client, models: Any, photo: bytes, style: str
) -> None:
    answer = api.post(f"/v1/redact?style={style}", files={"files": photo})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    copy = PIL.Image.open(io.BytesIO(answer.content))
    assert copy.format == "JPEG"
    assert models.plates(photo)[0].text
    assert not [mark for mark in models.plates(answer.content) if mark.text]


def test_a_document_is_covered_and_said_where(api: httpx.Client, document: bytes) -> None:
    answer = api.post("/v1/redact?kind=stamp&style=box&format=json", files={"files": document})
    made = RedactedFile.from_dict(answer.json())
    assert (made.media_type, made.suffix, len(made.pages)) == ("application/pdf", ".pdf", 3)
    assert [bool(page.marks) for page in made.pages][::2] == [True, True]
    after = api.post("/v1/stamps", files={"files": made.data}).json()
    assert [page["marks"] for page in after] == [[], [], []]
    only = api.post("/v1/redact?kind=stamp&page=2&format=json", files={"files": document}).json()
    assert [page["page"] for page in only["pages"]] == [2]
    spared = api.post("/v1/redact?min_score=1&format=json", files={"files": document}).json()
    assert [page["marks"] for page in spared["pages"]] == [[], [], []]


def test_a_copy_is_of_one_file_that_can_be_read(api: httpx.Client, photo: bytes) -> None:
    problem(api.post("/v1/redact", files={"files": b"no"}), 400, "unreadable_image")
    two = [("files", photo), ("files", photo)]
    problem(api.post("/v1/redact", files=two), 422, "invalid_request")
    problem(api.post("/v1/redact?style=smear", files={"files": photo}), 422, "invalid_request")


def test_one_picture_that_fails_is_a_problem(api: httpx.Client, document: bytes) -> None:
    problem(api.post("/v1/annotated", files={"files": b"no"}), 400, "unreadable_image")
    problem(api.post("/v1/annotated?page=9", files={"files": document}), 400, "input_error")
    problem(api.post("/v1/annotated?kind=car", files={"files": b"no"}), 422, "invalid_request")


def test_embeddings_of_a_page_and_of_a_stamp_cut_out(
    api: httpx.Client, models: Any, letter: bytes
) -> None:
    (page,) = api.post("/v1/embeddings", files={"files": ("a.jpg", letter)}).json()
    mark = models.stamps(letter).marks[0]
    assert page["embeddings"][0]["model"] == mark.embedding.model
    assert np.allclose(page["embeddings"][0]["embedding"], mark.embedding.vector, atol=1e-6)
    x0, y0, x1, y1 = mark.box
    stream = io.BytesIO()
    PIL.Image.open(io.BytesIO(letter)).crop((x0, y0, x1, y1)).save(stream, "PNG")
    (cut,) = api.post("/v1/embeddings?cropped=true", files={"files": stream.getvalue()}).json()
    (vector,) = cut["embeddings"]
    assert abs(np.linalg.norm(vector["embedding"]) - 1) < 1e-3
    assert vector["box"] == [0, 0, int(x1) - int(x0), int(y1) - int(y0)] or vector["score"] == 1


def test_segment_gives_masks_or_the_stamp_without_its_paper(
    api: httpx.Client, models: Any, letter: bytes
) -> None:
    mark = models.stamps(letter).marks[0]
    (page,) = api.post("/v1/segment", files={"files": letter}).json()
    assert InkMask.from_dict(page["stamps"][0]["mask"]) == mark.mask
    answer = api.post("/v1/segment?format=png", files={"files": letter})
    picture = PIL.Image.open(io.BytesIO(answer.content))
    assert picture.mode == "RGBA"
    assert picture.getchannel("A").getextrema()[0] == 0
    blank = io.BytesIO()
    PIL.Image.new("RGB", (64, 64), "white").save(blank, "PNG")
    said = api.post("/v1/segment?format=png", files={"files": blank.getvalue()})
    assert said.status_code == 400


def test_names_are_labels_and_come_back_clean(api: httpx.Client, photo: bytes) -> None:
    for name, expected in (
        ("../../etc/passwd", "../../etc/passwd"),
        ("фото 1.jpg", "фото 1.jpg"),
        ("a\x07b.jpg", "ab.jpg"),
        ("x" * 400, "x" * 255),
    ):
        data = {"files": [{"name": name, "data": base64.b64encode(photo).decode()}]}
        (result,) = api.post("/v1/plates", json=data).json()
        assert result["source"] == expected
        assert result["marks"]


@pytest.mark.parametrize(
    "request_of",
    [
        {"files": {"other": ("", b"")}},
        {"data": {"files": "/etc/passwd"}},
        {"json": {"files": []}},
        {"json": {"files": [{"name": "a.jpg"}]}},
        {"json": {"files": [{"url": "http://127.0.0.1:1/", "data": "aa"}]}},
        {"json": {"path": "/etc/passwd"}},
        {"json": ["/etc/passwd"]},
        {"content": b"{", "headers": {"Content-Type": "application/json"}},
        {"content": b"", "headers": {"Content-Type": "image/png"}},
    ],
)
def test_a_request_without_files_is_refused(api: httpx.Client, request_of: dict[str, Any]) -> None:
    problem(api.post("/v1/plates", **request_of), 422, "invalid_request")


def test_broken_multipart_is_refused(api: httpx.Client) -> None:
    for content_type in ("multipart/form-data", "multipart/form-data; boundary=x"):
        answer = api.post("/v1/plates", content=b"--y\r\n", headers={"Content-Type": content_type})
        problem(answer, answer.status_code, "invalid_request")
        assert answer.status_code in (400, 422)


def test_base64_that_is_none_fails_for_that_file_alone(api: httpx.Client, photo: bytes) -> None:
    good = base64.b64encode(photo).decode()
    files = [{"name": "bad", "data": "!!!"}, {"name": "good", "data": good}]
    bad, fine = api.post("/v1/plates", json={"files": files}).json()
    assert bad["error"]["code"] == "unreadable_image"
    assert fine["marks"]


def test_other_paths_and_methods_are_problems(api: httpx.Client) -> None:
    problem(api.get("/v1/nothing"), 404, "not_found")
    problem(api.get("/v1/plates"), 405, "method_not_allowed")
