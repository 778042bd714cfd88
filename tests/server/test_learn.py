"""The web app learns a stamp from a picture, finds it in photos, and can be told not to."""

import io
import zipfile
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from platemark.apps import learning
from platemark.apps.learning import Learning
from platemark.apps.web import mount
from platemark.errors import Forbidden, NoStampFound, Overloaded

from .conftest import LETTER, Serve, as_png
from .test_web import PATIENCE, WRITE, Visit, saved

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def seal(text: str) -> Pixels:
    page = np.full((220, 220, 3), 252, np.uint8)
    for radius in (100, 76):
        cv2.circle(page, (110, 110), radius, (40, 60, 190), 4, cv2.LINE_AA)
    cv2.putText(page, text, (46, 122), 0, 1.2, (40, 60, 190), 4, cv2.LINE_AA)
    return page


def page_with(stamp: Pixels) -> Pixels:
    page = np.full((900, 680, 3), 252, np.uint8)
    for row in range(12):
        cv2.putText(page, "the parties agree as follows", (40, 60 + 30 * row), 0, 0.6, (20,) * 3, 1)
    page[480:700, 300:520] = stamp
    return page


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learn with few generated pictures."""
    monkeypatch.setattr(learning, "COMPOSITES", 3)


@pytest.mark.usefixtures("few")
def test_a_stamp_is_learned_from_a_picture_and_found_in_photos(
    browser: Browser, serve: Serve
) -> None:
    with serve(mounts=(mount,)) as site:
        assert site.get("/web/", timeout=300).status_code == 200
        visit = Visit(browser, site, viewport={"width": 1280, "height": 900})
        expect.set_options(timeout=PATIENCE)
        page = visit.page
        visit.open("Learn")
        page.locator("#pm-learn-begin").click()
        expect(page.locator("#pm-learn-status")).to_contain_text("Drop a picture of the stamp")
        visit.give_named("learn-pictures", "acme.png", as_png(seal("ACME")))
        page.locator("#pm-learn-minutes input[type=number]").fill("0")
        page.locator("#pm-learn-begin").click()
        expect(page.locator("#pm-learn-report")).to_contain_text("acme is learned")
        expect(page.locator("#pm-learn-report")).to_contain_text("n=3")
        names = zipfile.ZipFile(io.BytesIO(saved(page, "#pm-learn-zip"))).namelist()
        assert {"model/card.json", "model/model.onnx"} <= set(names)
        place: Path | str = "#pm-learn-photos input[type=file]"
        files = [
            {"name": name, "mimeType": "image/png", "buffer": as_png(page_with(seal(text)))}
            for name, text in (("bears.png", "ACME"), ("other.png", "ZULU"))
        ]
        page.set_input_files(str(place), files)  # type: ignore[arg-type]
        expect(page.locator("#pm-learn-status")).to_contain_text("1 of 2")
        found = page.locator("#pm-learn-found figure")
        expect(found).to_have_count(2)
        expect(found.nth(0).locator(".pm-mark")).to_have_count(1)
        expect(found.nth(1).locator(".pm-mark")).to_have_count(0)
        visit.context.close()
        assert visit.errors == []


def test_a_server_can_be_told_not_to_learn(browser: Browser, serve: Serve) -> None:
    with serve(mounts=(mount,), learn_minutes=0, write_keys=[WRITE]) as site:
        keyed = httpx.Client(base_url=site.base_url, headers={"X-API-Key": WRITE})
        assert keyed.get("/web/", timeout=300).status_code == 200
        given = {"http_credentials": {"username": "anna", "password": WRITE}}
        visit = Visit(browser, site, viewport={"width": 390, "height": 844}, **given)
        expect.set_options(timeout=PATIENCE)
        visit.open("Learn")
        expect(visit.page.get_by_text("This server does not learn")).to_be_visible()
        visit.context.close()


@pytest.mark.usefixtures("few")
def test_one_lesson_at_a_time_of_a_length_that_is_allowed(tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    blank.write_bytes(as_png(np.full((200, 200, 3), 255, np.uint8)))
    with pytest.raises(Forbidden, match="learn_minutes"):
        Learning(0).begin([blank], 0)
    teacher = Learning(5)
    with pytest.raises(Forbidden, match="5 minutes at most"):
        teacher.begin([blank], 6)
    first = teacher.begin([blank], 0)
    with pytest.raises(Overloaded, match="one at a time"):
        teacher.begin([LETTER], 0)
    while first.running:
        first.progress(1.0)
    assert isinstance(first.error, NoStampFound)
    second = teacher.begin([LETTER], 0)  # the first is over
    assert second.progress().stage == "starting"
    teacher.close()
    assert (second.running, second.report) == (False, None)
    assert second.error is not None
    assert "stopped" in second.error.message
    for lesson in (first, second):
        lesson.close()
    assert not second.folder.parent.exists()


@pytest.mark.usefixtures("few")
def test_a_lesson_that_nobody_asks_about_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "_FORGOTTEN", 0.0)
    lesson = Learning(5).begin([LETTER], 5)
    assert lesson._ended.wait(60)
    assert lesson.report is None
    lesson.close()
