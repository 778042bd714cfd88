"""The review in a real browser: draw, drag, type, undo, two at once, a server that is killed."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image
import pytest
from playwright.sync_api import Browser, Page, expect
from typer.testing import CliRunner

from platemark.apps.cli import app
from platemark.apps.review import Review, create_review
from platemark.apps.server.run import make_server
from platemark.apps.settings import Settings
from platemark.datasets import Manifest, ReviewStore
from platemark.datasets.manifest import ManifestEntry
from platemark.plates.pipeline import PlatePipeline

from .test_web import PATIENCE

# Where the painted plate of every picture is.
PLATE = (100, 80, 200, 120)


def paint(path: Path, red: int = 255) -> None:
    """A picture with a plate that the painted pipeline finds, the less certain the darker."""
    pixels = np.full((240, 320, 3), 90, np.uint8)
    x0, y0, x1, y1 = PLATE
    pixels[y0:y1, x0:x1] = (red, 0, 0)
    pixels[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2] = (50, 200, 0)  # it reads AB12CD
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plain folder of three photos; the last is the one the model is least certain of."""
    for name, red in (("a.png", 250), ("b.png", 200), ("c.png", 150)):
        paint(tmp_path / "photos" / name, red)
    return tmp_path / "photos"


Open = Callable[..., Any]


@pytest.fixture
def review(painted_pipeline: PlatePipeline) -> Iterator[Open]:
    """Review a data set with the painted pipeline; gives the address."""

    @contextmanager
    def serve(dataset: Path, *, predict: bool = True, **settings: Any) -> Iterator[str]:
        store = ReviewStore.open(dataset)
        load = (lambda: painted_pipeline) if predict else None
        made = Review(store, load, "anna")
        started = threading.Event()
        given = Settings(port=0, **settings)
        server = make_server(create_review(made, given), given, lambda _: started.set())
        listener = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        assert started.wait(PATIENCE / 1000)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(PATIENCE / 1000)

    return serve  # type: ignore[return-value]


class Desk:
    """A page of the review, and what went wrong on it."""

    def __init__(self, browser: Browser, address: str, annotator: str, **options: Any) -> None:
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        self.page = page = self.context.new_page()
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._note(request.url, address))
        page.goto(f"{address}/?annotator={annotator}")
        page.wait_for_selector("body[data-ready]")

    def _note(self, url: str, own: str) -> None:
        if not url.startswith((own, "data:", "blob:")):
            self.foreign.append(url)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def saved(self) -> None:
        expect(self.page.locator("#saved")).to_have_text("Saved")

    def image(self, name: str) -> None:
        expect(self.page.locator("#name")).to_have_text(name)

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Where a pixel of the image is on the page."""
        box = self.page.locator("#sheet").bounding_box()
        assert box is not None
        return box["x"] + x * box["width"] / 320, box["y"] + y * box["height"] / 240

    def drag(self, start: tuple[float, float], to: tuple[float, float]) -> None:
        mouse = self.page.mouse
        mouse.move(*self.point(*start))
        mouse.down()
        mouse.move(*self.point((start[0] + to[0]) / 2, (start[1] + to[1]) / 2))
        mouse.move(*self.point(*to))
        mouse.up()

    def text(self, text: str) -> None:
        self.press("t")
        self.page.keyboard.type(text)


@pytest.fixture
def desk(browser: Browser) -> Iterator[Callable[..., Desk]]:
    """Open a page of the review; in the end no page may have failed or asked elsewhere."""
    made: list[Desk] = []

    def sit(address: str, annotator: str = "anna", **options: Any) -> Desk:
        made.append(Desk(browser, address, annotator, **options))
        return made[-1]

    yield sit
    for one in made:
        one.context.close()
        assert (one.errors, one.foreign) == ([], [])


def read(folder: Path) -> dict[str, ManifestEntry]:
    return {entry.image: entry for entry in Manifest.read(folder / "annotations.jsonl")}


def crop_of(page: Page) -> Any:
    return page.locator("#crop").evaluate("canvas => canvas.toDataURL()")


def test_a_photo_comes_marked_by_the_model_and_is_corrected_with_mouse_and_keys(
    review: Open, desk: Callable[..., Desk], folder: Path
) -> None:
    with review(folder) as address:
        page = (one := desk(address)).page
        one.image("c.png")  # the least certain
        expect(page.locator("#status")).to_contain_text("marked by the model")
        expect(page.locator("#text")).to_have_value("AB12CD")
        before = crop_of(page)
        # Drag the corner at the lower right; the upright picture follows before it is let go.
        page.mouse.move(*one.point(200, 120))
        page.mouse.down()
        page.mouse.move(*one.point(240, 160))
        assert crop_of(page) != before
        page.mouse.up()
        # The whole plate, by one pixel to the left and ten down; a corner by one up.
        one.press("Escape", "ArrowLeft", "Shift+ArrowDown", "1", "ArrowUp", "Escape")
        one.text("kl-99 xy")
        one.press("Escape", "l", "o")
        page.locator("#region").fill("eu-pl")
        one.press("Escape")
        # A box where nothing is, then one by the keyboard, which is deleted.
        one.drag((20, 180), (60, 200))
        expect(page.locator("#chips button")).to_have_count(2)
        one.press("b", "Alt+ArrowRight", "d", "Enter")
        one.image("b.png")
        one.saved()
    (entry,) = read(folder).values()
    assert entry.image == "c.png"
    plate, drawn = entry.plates
    assert plate.quad == ((99, 89), (199, 90), pytest.approx((239, 170), abs=0.6), (99, 130))
    assert plate.box == pytest.approx((99, 89, 239, 170), abs=0.6)
    assert (plate.text, plate.region, plate.lines, plate.obscured) == ("KL99XY", "eu-pl", 1, False)
    assert drawn.box == pytest.approx((20, 180, 60, 200), abs=0.6)
    assert (drawn.quad, drawn.text) == (None, None)


def test_undo_redo_reject_and_back_by_keyboard(
    review: Open, desk: Callable[..., Desk], folder: Path
) -> None:
    with review(folder) as address:
        page = (one := desk(address)).page
        text = page.locator("#text")
        one.image("c.png")
        one.text("first")
        one.press("Escape")
        one.saved()
        one.text("second")
        one.press("Escape", "z")
        expect(text).to_have_value("FIRST")
        one.press("Control+z")
        expect(text).to_have_value("AB12CD")
        one.press("y")
        expect(text).to_have_value("FIRST")
        one.press("h")
        expect(page.locator("#revisions li")).to_have_count(6)
        one.press("Escape", "r")
        one.image("b.png")
        page.keyboard.down("Enter")
        page.keyboard.down("Enter")  # held: the next image is not accepted unseen
        page.keyboard.up("Enter")
        one.image("a.png")
        one.press("p", "p")
        one.image("c.png")
        expect(page.locator("#status")).to_have_text("rejected")
        one.press("z")
        expect(page.locator("#status")).to_have_text("begun")
        one.press("n")
        one.image("b.png")
        one.press("?")
        expect(page.locator("#keys")).to_contain_text("accept, and go on")
        one.press("Escape", "d")
        expect(page.locator("#chips")).to_contain_text("Nothing is marked")
        one.press("Enter")
        one.image("a.png")
        one.saved()
        page.locator("#show").select_option("accepted")
        expect(page.locator("#queue button")).to_have_count(1)
    assert [entry.plates for entry in read(folder).values()] == [()]


def test_two_people_at_once_lose_nothing(
    review: Open, desk: Callable[..., Desk], folder: Path
) -> None:
    with review(folder) as address:
        anna = desk(address, "anna")
        anna.image("c.png")
        bob = desk(address, "bob")
        bob.image("b.png")  # anna has the other
        bob.page.locator("#queue button", has_text="c.png").click()
        bob.image("c.png")
        expect(bob.page.locator("#others")).to_have_text("anna has it open too")
        # Both type; whoever comes second is shown both.
        bob.page.route("**/api/state*", lambda route: route.abort())  # bob hears of nothing
        anna.text("anna1")
        anna.press("Escape")
        anna.saved()
        bob.text("bob22")
        bob.press("Escape")
        notice = bob.page.locator("#notices")
        expect(notice).to_contain_text("ANNA1")
        expect(notice).to_contain_text("BOB22")
        expect(bob.page.locator("#text")).to_have_value("ANNA1")
        bob.press("Alt+2")
        expect(bob.page.locator("#text")).to_have_value("BOB22")
        expect(notice).to_be_empty()
        bob.saved()
        # What bob did appears with anna by itself.
        expect(anna.page.locator("#text")).to_have_value("BOB22")
        anna.page.locator("summary").click()
        people = anna.page.locator("#agreement")
        expect(people).to_contain_text("1 images, 0% equal")
        expect(people).to_contain_text("anna 1, bob 1")


def test_what_cannot_be_shown_is_said_and_the_others_go_on(
    review: Open, desk: Callable[..., Desk], tmp_path: Path
) -> None:
    paint(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    names = ("missing.png", "bad.png", "good.png")
    size = {"width": 320, "height": 240, "split": "train"}
    rows = [{"image": name, **size, "plates": []} for name in names]
    (tmp_path / "annotations.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with review(tmp_path) as address:
        page = (one := desk(address)).page
        page.locator("#show").select_option("all")
        for name, said in (("missing.png", "is not there"), ("bad.png", "not an image")):
            page.locator("#queue button", has_text=name).click()
            one.image(name)
            expect(page.locator("#blank")).to_contain_text(said)
            expect(page.locator("#notices")).to_contain_text("The others go on")
        page.locator("#queue button", has_text="good.png").click()
        one.image("good.png")
        one.press("m", "Enter")
        one.saved()
    entries = read(tmp_path)
    assert list(entries) == list(names)
    assert [plate.text for plate in entries["good.png"].plates] == ["AB12CD"]


def test_only_images_of_the_data_set_are_served_and_only_to_whoever_has_a_key(
    review: Open, folder: Path
) -> None:
    (folder.parent / "secret.png").write_bytes((folder / "a.png").read_bytes())
    with review(folder, predict=False, read_keys=["read-key-0123456789"]) as address:
        assert httpx.get(f"{address}/api/setup").status_code == 401
        client = httpx.Client(base_url=address, headers={"X-API-Key": "read-key-0123456789"})
        listed = client.get("/api/images", params={"show": "all"}).json()["images"]
        known = listed[0]["id"]
        picture = client.get(f"/api/images/{known}/picture")
        assert picture.headers["content-type"] == "image/jpeg"
        for image in ("..%2fsecret.png", "%2e%2e%2fsecret.png", "../secret.png", "0" * 16, "a.png"):
            answer = client.get(f"/api/images/{image}/picture")
            assert answer.status_code == 404, image
        for name in ("index.html", "..%2fsession.py", "%2e%2e/session.py", "../app.py"):
            assert client.get(f"/static/{name}").status_code == 404, name
        body = {"annotator": "eve", "base": 0, "marks": []}
        assert client.put(f"/api/images/{known}", json=body).status_code == 403


def test_changes_that_make_no_sense_are_refused(review: Open, folder: Path) -> None:
    with review(folder) as address, httpx.Client(base_url=address) as client:
        image = client.get("/api/images", params={"show": "all"}).json()["images"][0]["id"]
        box = {"box": [10, 10, 30, 20], "quad": None, "text": "A1"}
        good = {"annotator": "eve", "base": 0, "marks": [box]}

        def put(**changed: Any) -> httpx.Response:
            return client.put(f"/api/images/{image}", json=good | changed)

        for changed, said in (
            ({"marks": [box | {"box": [30, 10, 10, 20]}]}, "has no area"),
            ({"marks": [box | {"quad": [[0, 0], [0, 9], [9, 9], [9, 0]]}]}, "clockwise"),
            ({"marks": [box | {"lines": "many"}]}, "lines"),
            ({"base": 7}, "no version 7"),
            ({"annotator": " "}, "annotator"),
            ({"action": "open"}, "action"),
        ):
            answer = put(**changed)
            assert (answer.status_code, said in answer.json()["detail"]) == (422, True), answer.text
        assert put().json()["marks"][0]["text"] == "A1"
        late = put(marks=[box | {"text": "B2"}])
        assert (late.status_code, late.json()["code"]) == (409, "edit_conflict")
        origin = {"Origin": "https://elsewhere.example"}
        assert client.put(f"/api/images/{image}", json=good, headers=origin).status_code == 403
        assert client.get("/api/images", params={"show": "none"}).status_code == 422


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Start a review of a folder as a process of its own, on one port; all are killed."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    children: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        words = ["review", str(tmp_path), "--port", str(port), "--no-open", "--no-predict"]
        child = subprocess.Popen(
            [sys.executable, "-m", "platemark", *words], stderr=subprocess.PIPE, text=True
        )
        children.append(child)
        assert child.stderr is not None
        said = child.stderr.readline()
        assert said.startswith(f"platemark serves on http://127.0.0.1:{port}, 16 images"), said
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()


def test_a_keyboard_is_quick_and_a_server_that_is_killed_loses_nothing(
    desk: Callable[..., Desk], killed: Callable[[], subprocess.Popen[str]], tmp_path: Path
) -> None:
    rows = []
    for number in range(16):
        paint(tmp_path / f"{number:02d}.png")
        plate = {"box": PLATE, "quad": None, "text": "WRONG1", "region": None, "lines": 1}
        size = {"width": 320, "height": 240, "split": "train"}
        rows.append({"image": f"{number:02d}.png", **size, "plates": [plate]})
    (tmp_path / "annotations.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    server = killed()
    address = f"http://127.0.0.1:{server.args[server.args.index('--port') + 1]}"  # type: ignore[index,union-attr,operator]
    one = desk(address)

    def correct(numbers: range) -> None:
        for number in numbers:
            one.image(f"{number:02d}.png")
            one.text(f"right{number}")
            one.press("Enter")

    asked: list[str] = []
    one.page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    begun = time.monotonic()
    correct(range(12))
    one.image("12.png")
    one.saved()
    # Of the keyboard alone; how many there are in a minute depends on how busy the machine is.
    print(f"{12 * 60 / (time.monotonic() - begun):.0f} corrections per minute")
    assert sum(one.startswith("PUT") for one in asked) == 12
    server.kill()  # nobody is told, nothing is finished
    server.wait()
    one.text("typed meanwhile")
    one.press("Escape")
    expect(one.page.locator("#saved")).to_contain_text("Not saved yet")
    server = killed()
    one.saved()
    one.press("Enter")
    correct(range(13, 16))
    expect(one.page.locator("#notices")).to_contain_text("All images are reviewed")
    server.kill()
    server.wait()
    store = ReviewStore.open(tmp_path)
    texts = [store.get(image).revision.entry.plates[0].text for image in store.ids]
    store.close()
    assert texts == ["TYPEDMEANWHILE" if number == 12 else f"RIGHT{number}" for number in range(16)]
    assert [entry.plates[0].text for entry in read(tmp_path).values()] == texts


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    def said(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["review", *words, "--no-open"])
        return done.exit_code, done.output

    code, output = said(str(tmp_path / "none"))
    assert (code, "no such file" in output) == (1, True)
    (tmp_path / "annotations.jsonl.journal").mkdir()
    code, output = said(str(tmp_path))
    assert (code, "copy the data set to a folder that you may write to" in output) == (1, True)
    (tmp_path / "annotations.jsonl.journal").rmdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, output = said(str(tmp_path), "--port", str(taken.getsockname()[1]))
    assert (code, "cannot listen" in output) == (2, True)
