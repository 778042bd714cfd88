"""The web app in a real browser: what visitors do, and what they must not be able to do."""

import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Download, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from platemark.apps.web import mount
from platemark.registry import Registry

from .conftest import LETTER, PHOTO, Serve

READ, WRITE = "read-key-0123456789", "write-key-0123456789"
# A busy machine takes its time.
PATIENCE = 90_000


@pytest.fixture(scope="module")
def site(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server with the web app and an empty registry."""
    place = tmp_path_factory.mktemp("web") / "stamps.db"
    with serve(mounts=(mount,), registry=place) as client:
        # The first import of Gradio takes long on a busy machine.
        assert client.get("/web/", timeout=300).status_code == 200
        yield client


class Visit:
    """A page of the web app, and what went wrong on it."""

    def __init__(self, browser: Browser, site: httpx.Client, **options: Any) -> None:
        self.own = str(site.base_url).rstrip("/")
        self.foreign: list[str] = []
        self.errors: list[str] = []
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("request", lambda request: self._note(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(f"{self.own}/web/")
        self.page.get_by_role("tab", name="Plates").wait_for()

    def _note(self, url: str) -> None:
        if not url.startswith((self.own, "data:", "blob:")):
            self.foreign.append(url)

    def open(self, tab: str) -> None:
        self.page.get_by_role("tab", name=tab).click()

    def give(self, place: str, name: str, content: bytes) -> None:
        file: Any = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
        self.page.set_input_files(f"#pm-{place} input[type=file]", file)

    def give_named(self, place: str, name: str, content: bytes) -> None:
        """Give a file to a field that shows names; again if the page was just being redrawn."""
        shown = self.page.get_by_text(name).first
        for _ in range(4):
            self.give(place, name, content)
            with suppress(PlaywrightTimeout):
                shown.wait_for(timeout=PATIENCE / 4)
                return
        expect(shown).to_be_visible()


@pytest.fixture
def visit(browser: Browser, site: httpx.Client) -> Iterator[Visit]:
    """A fresh page at desktop size."""
    made = Visit(browser, site, viewport={"width": 1280, "height": 900})
    expect.set_options(timeout=PATIENCE)
    yield made
    made.context.close()
    assert made.foreign == []
    assert made.errors == []


def saved(page: Page, button: str) -> bytes:
    with page.expect_download() as waiting:
        page.locator(button).click()
    download: Download = waiting.value
    return Path(download.path()).read_bytes()


def test_a_photo_shows_its_plate_with_text_and_downloads(
    visit: Visit, site: httpx.Client, photo: bytes
) -> None:
    (expected,) = site.post("/v1/plates", files={"files": (PHOTO.name, photo)}).json()
    text = expected["marks"][0]["text"]
    page = visit.page
    visit.give("plate-file", PHOTO.name, photo)
    card = page.locator("#pm-plate-cards .pm-card").first
    expect(card.get_by_role("heading")).to_have_text(text)
    expect(card.get_by_role("img", name=f"Crop of plate 1: {text}")).to_be_visible()
    expect(page.get_by_role("img", name=text).first).to_be_visible()
    card.get_by_role("button", name="Copy text").click()
    expect(page.locator("#pm-live")).to_contain_text("copied")

    found = json.loads(saved(page, "#pm-plate-json"))
    assert [mark["text"] for mark in found[0]["marks"]] == [m["text"] for m in expected["marks"]]
    assert text in saved(page, "#pm-plate-csv").decode()
    with zipfile.ZipFile(io.BytesIO(saved(page, "#pm-plate-zip"))) as archive:
        names = archive.namelist()
    assert {"plates.json", "plates.csv", "page-001.jpg", "page-001-plate-1.jpg"} <= set(names)


def test_a_copy_without_plates_is_made_and_saved(
    visit: Visit, site: httpx.Client, photo: bytes
) -> None:
    page = visit.page
    visit.give("plate-file", PHOTO.name, photo)
    page.locator("#pm-plate-cover").get_by_label("Pixelate").check()
    page.locator("#pm-plate-cover-make").click()
    copy = saved(page, "#pm-plate-cover-save")
    assert copy.startswith(b"\xff\xd8")
    (after,) = site.post("/v1/plates", files={"files": copy}).json()
    assert not [mark for mark in after["marks"] if mark["text"]]
    # Another way to cover is another copy.
    page.locator("#pm-plate-cover").get_by_label("Black").check()
    expect(page.locator("#pm-plate-cover-save")).to_be_hidden()


def test_a_mark_leads_to_its_card_by_keyboard(visit: Visit, photo: bytes) -> None:
    visit.give("plate-file", PHOTO.name, photo)
    mark = visit.page.locator("#pm-plate-page .pm-mark").first
    mark.focus()
    mark.press("Enter")
    expect(visit.page.locator("#plate-1")).to_be_focused()


def test_a_document_is_paged_through(visit: Visit, document: bytes) -> None:
    page = visit.page
    visit.open("Stamps")
    visit.give("stamp-file", "contract.pdf", document)
    shown, cards = page.locator("#pm-stamp-page"), page.locator("#pm-stamp-cards")
    expect(shown).to_contain_text("Page 1 of 3")
    expect(cards.locator(".pm-card")).to_have_count(1)
    # Pages 1 and 3 are the same, so are their vectors.
    cells = page.locator("#pm-stamp-alike td").filter(has_text="1.00")
    expect(cells).to_have_count(4)
    page.locator("#pm-stamp-on").click()
    expect(shown).to_contain_text("Page 2 of 3")
    expect(cards).to_contain_text("No stamp on this page")
    page.locator("#pm-stamp-on").click()
    expect(shown).to_contain_text("Page 3 of 3")
    expect(cards.get_by_role("img", name="Crop of stamp 1")).to_be_visible()
    page.locator("#pm-stamp-back").click()
    expect(shown).to_contain_text("Page 2 of 3")


def test_an_example_is_a_click_away(visit: Visit) -> None:
    visit.page.locator("#pm-plate-example-0").click()
    expect(visit.page.locator("#pm-plate-cards .pm-card").first).to_be_visible()


def test_two_stamps_are_compared_and_laid_on_each_other(
    visit: Visit, site: httpx.Client, letter: bytes
) -> None:
    files = [("files", ("a.jpg", letter)), ("files", ("b.jpg", letter))]
    answer = site.post("/v1/compare", files=files)
    assert answer.status_code == 200, answer.text
    expected = answer.json()
    page = visit.page
    visit.open("Compare")
    page.locator("#pm-compare-ask").click()
    result = page.locator("#pm-compare-result")
    expect(result).to_contain_text("Drop the first picture too")
    visit.give_named("compare-a", "a.jpg", letter)
    visit.give_named("compare-b", "b.jpg", letter)
    page.locator("#pm-compare-ask").click()
    expect(result.locator(".pm-odds")).to_contain_text(f"{expected['score']:.0%}")
    expect(result).to_contain_text(expected["reason"][1:])
    slider, stack = result.get_by_role("slider"), result.locator(".pm-stack")
    slider.focus()
    slider.press("ArrowRight")
    assert stack.evaluate("stack => stack.style.getPropertyValue('--at')") == "51%"
    result.get_by_label("Blend").check()
    assert "blend" in (stack.get_attribute("class") or "")


@pytest.mark.parametrize(("example", "title"), [(0, "The same stamp"), (1, "Different stamps")])
def test_examples_of_comparing_say_what_they_show(visit: Visit, example: int, title: str) -> None:
    visit.open("Compare")
    visit.page.locator(f"#pm-compare-example-{example}").click()
    expect(visit.page.locator("#pm-compare-result .pm-verdict h2")).to_have_text(title)


def add(visit: Visit, name: str, content: bytes) -> None:
    page = visit.page
    form = page.locator("#pm-registry-name input, #pm-registry-name textarea")
    opening = page.get_by_role("button", name="Add a stamp")
    expect(opening).to_be_visible()
    for _ in range(40):  # the page may open it itself just then, which a click undoes
        page.wait_for_timeout(250)
        if form.is_visible():
            break
        opening.click()
    visit.give("registry-file", f"{name}.jpg", content)
    expect(page.locator("#pm-registry-file")).to_contain_text(f"{name}")
    form.fill(name)
    page.locator("#pm-registry-add").click()
    expect(page.locator("#pm-registry-detail h2")).to_have_text(name)
    # The form is empty again, ready for the next.
    expect(form).to_have_value("")


def test_a_stamp_is_added_found_again_renamed_merged_and_split(visit: Visit, letter: bytes) -> None:
    page = visit.page
    visit.open("Registry")
    expect(page.locator("#pm-registry-count")).to_contain_text("empty")
    add(visit, "Dacha Club", letter)
    expect(page.get_by_role("img", name="Sample of Dacha Club")).to_be_visible()
    other = (LETTER.parents[1] / "compare" / "imprint-1.jpg").read_bytes()
    add(visit, "<i>Other</i>", other)

    page.reload()
    visit.open("Registry")
    search = page.locator("#pm-registry-search input, #pm-registry-search textarea")
    listed = page.locator("#pm-registry-list")
    expect(listed.get_by_role("radio")).to_have_count(2)
    search.fill("некоммерческ")  # which its stamp says
    expect(listed.get_by_role("radio")).to_have_count(1)
    search.fill("")
    expect(listed.get_by_role("radio")).to_have_count(2)
    search.press_sequentially("dacha")
    expect(listed.get_by_role("radio")).to_have_count(1)
    expect(page.locator("#pm-registry-count")).to_contain_text("1 of 2")
    listed.get_by_role("radio").check()
    expect(page.locator("#pm-registry-detail h2")).to_have_text("Dacha Club")

    for field, text in (("name", "Garden Club"), ("owner", "The club"), ("tags", "seal, round")):
        page.locator(f"#pm-registry-new-{field}").locator("input, textarea").fill(text)
    page.locator("#pm-registry-new-notes textarea").fill("On all letters")
    page.locator("#pm-registry-save").click()
    detail = page.locator("#pm-registry-detail")
    expect(detail.locator("h2")).to_have_text("Garden Club")
    for text in ("The club", "seal", "round", "On all letters"):
        expect(detail).to_contain_text(text)
    page.get_by_label("Others that are the same stamp").click()
    page.get_by_role("option", name="<i>Other</i>").click()
    page.locator("#pm-registry-merge").click()
    expect(page.locator("#pm-registry-said")).to_contain_text("2 samples")
    expect(page.get_by_role("img", name="Sample of Garden Club")).to_have_count(2)

    page.get_by_role("button", name="Split it").click()
    page.get_by_label("Samples that are another stamp").click()
    page.get_by_role("option", name="2 · ").click()
    page.locator("#pm-registry-part-name input, #pm-registry-part-name textarea").fill("Other")
    page.locator("#pm-registry-split").click()
    expect(page.locator("#pm-registry-said")).to_contain_text("a stamp of its own")
    expect(page.locator("#pm-registry-detail h2")).to_have_text("Other")
    expect(page.get_by_role("img", name="Sample of Other")).to_have_count(1)
    page.get_by_role("button", name="Split it").click()
    page.locator("#pm-registry-split").click()
    expect(page.locator("#pm-registry-said")).to_contain_text("needs a name")
    page.get_by_role("button", name="Remove it").click()
    page.locator("#pm-registry-remove").click()
    expect(page.locator("#pm-registry-said")).to_contain_text("Removed")
    search.press("Control+a")
    search.press("Delete")
    listed.get_by_role("radio").check()
    expect(page.locator("#pm-registry-detail h2")).to_have_text("Garden Club")

    retire = page.locator("#pm-registry-retire")
    retire.click()
    expect(page.locator("#pm-registry-said")).to_contain_text("no longer searched for")
    expect(retire).to_have_text("Search for it again")
    expect(page.locator("#pm-registry-detail")).to_contain_text("Retired")
    retire.click()
    expect(retire).to_have_text("Retire")
    expect(page.locator("#pm-registry-detail")).not_to_contain_text("Retired")
    removing = page.locator("#pm-registry-remove")
    expect(removing).to_be_hidden()
    page.get_by_role("button", name="Remove it").click()
    removing.click()
    expect(page.locator("#pm-registry-said")).to_contain_text("Garden Club")
    expect(page.locator("#pm-registry-count")).to_contain_text("empty")
    expect(page.get_by_role("img", name="Sample of Garden Club")).to_have_count(0)


def test_several_files_are_done_one_after_the_other(visit: Visit, photo: bytes) -> None:
    page = visit.page
    names = [("a.jpg", photo), ("notes.txt.jpg", b"no picture"), ("b.jpg", photo)]
    files: Any = [
        {"name": name, "mimeType": "image/jpeg", "buffer": content} for name, content in names
    ]
    page.set_input_files("#pm-plate-file input[type=file]", files)
    shown = page.locator("#pm-plate-page")
    expect(shown).to_contain_text("Page 1 of 3")
    expect(shown).to_contain_text("a.jpg")
    found = json.loads(saved(page, "#pm-plate-json"))
    assert [one["source"] for one in found] == [name for name, _ in names]
    assert ["error" in one for one in found] == [False, True, False]
    page.locator("#pm-plate-on").click()
    expect(shown.get_by_role("alert")).to_contain_text("otes.txt.jpg")
    page.locator("#pm-plate-on").click()
    expect(shown).to_contain_text("b.jpg")
    expect(page.locator("#pm-plate-cards .pm-card").first).to_be_visible()


def test_a_stamp_that_was_found_goes_into_the_registry(
    browser: Browser, serve: Serve, tmp_path: Path, letter: bytes
) -> None:
    with serve(mounts=(mount,), registry=tmp_path / "stamps.db") as client:
        visit = Visit(browser, client)
        page = visit.page
        visit.open("Stamps")
        visit.give("stamp-file", "letter.jpg", letter)
        page.get_by_role("button", name="Add stamp 1 to the registry").click()
        name = page.locator("#pm-stamp-name input, #pm-stamp-name textarea")
        expect(name).to_be_focused()
        name.fill("Dacha Club")
        page.locator("#pm-stamp-enrol-add").click()
        expect(page.locator("#pm-stamp-status")).to_contain_text("It has 1 sample now")
        visit.context.close()
        (known,) = client.get("/v1/registry/designs").json()
        assert (known["name"], known["samples"]) == ("Dacha Club", 1)


@pytest.mark.parametrize("content", [b"no picture at all", b"%PDF-1.4 broken", b""])
def test_bad_input_is_explained_and_nothing_breaks(
    visit: Visit, photo: bytes, content: bytes
) -> None:
    visit.give("plate-file", "notes.jpg", content)
    expect(visit.page.get_by_role("alert")).to_contain_text("otes.jpg")
    expect(visit.page.locator("#pm-plate-json")).to_be_hidden()
    visit.page.locator("#pm-plate-example-0").click()
    expect(visit.page.locator("#pm-plate-cards .pm-card").first).to_be_visible()
    expect(visit.page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_on_a_phone(browser: Browser, site: httpx.Client, scheme: Any) -> None:
    options: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "color_scheme": scheme}
    visit = Visit(browser, site, is_mobile=True, has_touch=True, **options)
    visit.page.locator("#pm-plate-example-1").tap()
    visit.page.locator("#pm-plate-cards .pm-card").first.wait_for()
    for tab in ("Plates", "Stamps", "Compare", "Registry"):
        visit.open(tab)
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    visit.context.close()


def test_every_tab_is_reached_by_a_finger_on_a_narrow_phone(
    browser: Browser, site: httpx.Client
) -> None:
    """By a tap at its place on the glass, which does not reach what is clipped or covered."""
    visit = Visit(
        browser, site, is_mobile=True, has_touch=True, viewport={"width": 360, "height": 740}
    )
    for name in ("Registry", "Compare", "Stamps", "Plates"):
        tab = visit.page.get_by_role("tab", name=name)
        place = tab.bounding_box()
        assert place is not None
        assert 0 <= place["x"] < place["x"] + place["width"] <= 360
        visit.page.touchscreen.tap(place["x"] + place["width"] / 2, place["y"] + 20)
        expect(tab).to_have_attribute("aria-selected", "true")
    visit.context.close()


@pytest.fixture(scope="module")
def locked(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server with keys, whose registry knows one stamp."""
    place = tmp_path_factory.mktemp("locked") / "stamps.db"
    with serve(mounts=(mount,), registry=place, read_keys=READ, write_keys=WRITE) as client:
        letter = {"files": LETTER.read_bytes()}
        data = {"name": "Known"}
        done = client.post(
            "/v1/registry/designs", files=letter, data=data, headers={"X-API-Key": WRITE}
        )
        assert done.status_code == 200
        yield client


def test_without_a_key_there_is_no_page(locked: httpx.Client) -> None:
    assert locked.get("/web/").status_code == 401
    assert locked.get("/web/config").status_code == 401


@pytest.mark.parametrize(("key", "may_write"), [(READ, False), (WRITE, True)])
def test_a_key_for_reading_shows_and_changes_nothing(
    browser: Browser, locked: httpx.Client, key: str, may_write: bool
) -> None:
    visit = Visit(browser, locked, http_credentials={"username": "me", "password": key})
    page = visit.page
    visit.open("Registry")
    shown = page.locator("#pm-registry-detail h2")
    for _ in range(40):  # the list is loaded once more when the tab opens, which undoes a click
        page.locator("#pm-registry-list").get_by_role("radio").click()
        page.wait_for_timeout(250)
        if shown.is_visible():
            break
    expect(shown).to_have_text("Known")
    expect(page.get_by_text("Read only")).to_have_count(0 if may_write else 1)
    adding = expect(page.get_by_role("button", name="Add a stamp"))
    adding.to_be_visible() if may_write else adding.to_be_hidden()
    expect(page.locator("#pm-registry-save")).to_have_count(1 if may_write else 0)
    visit.context.close()


def send_event(client: httpx.Client, name: str, data: list[Any], key: str = WRITE) -> str:
    """Send what the page sends, past the page; returns what comes back of it."""
    headers = {"X-API-Key": key}
    config = client.get("/web/config", headers=headers).json()
    number = next(d["id"] for d in config["dependencies"] if d["api_name"] == name)
    event = {"data": data, "fn_index": number, "session_hash": "test"}
    joined = client.post("/web/gradio_api/queue/join", json=event, headers=headers)
    if joined.status_code != 200:
        return joined.text
    with client.stream(
        "GET", "/web/gradio_api/queue/data?session_hash=test", headers=headers
    ) as answer:
        return "".join(answer.iter_text())


def test_a_change_past_the_page_is_refused(locked: httpx.Client) -> None:
    design = locked.get("/v1/registry/designs", headers={"X-API-Key": READ}).json()[0]
    form = [None, "Sneaked in", "", "", False]
    assert "for reading only" in send_event(locked, "_add_stamps", form, READ)
    assert "Give a picture too" in send_event(locked, "_add_stamps", form, WRITE)
    for name, rest in (("_edit_design", ["Stolen", "", "", "", ""]), ("_merge_designs", [[], ""])):
        assert "for reading only" in send_event(locked, name, [design["design"], *rest], READ)
    listed = locked.get("/v1/registry/designs", headers={"X-API-Key": READ}).json()
    assert [design["name"] for design in listed] == ["Known"]


@pytest.mark.parametrize(
    "path",
    [
        "/web/gradio_api/file=/etc/passwd",
        "/web/gradio_api/file=etc/passwd",
        "/web/gradio_api/file=/web/../../../../etc/passwd",
        "/web/gradio_api/file=file:///etc/passwd",
        "/web/gradio_api/proxy=http://localhost/",
        "/web/file=/etc/passwd",
        "/web/static/../../../../../../etc/passwd",
        "/web/static/%2e%2e/%2e%2e/%2e%2e/routes.py",
        "/web/assets/..%2f..%2f..%2froutes.py",
        "/web/gradio_api/run/predict",
        "/web/gradio_api/component_server",
        "/web/monitoring",
        "/web/docs",
    ],
)
def test_no_file_of_the_machine_is_reachable(site: httpx.Client, path: str) -> None:
    answer = site.get(httpx.URL(f"{site.base_url}").copy_with(raw_path=path.encode()))
    assert answer.status_code in (403, 404, 405)
    assert "root:" not in answer.text
    assert "import " not in answer.text


def test_own_files_and_settings_are_not_served(site: httpx.Client, tmp_path: Path) -> None:
    for file in (Path(__file__), Path.cwd() / "pyproject.toml"):
        assert site.get(f"/web/gradio_api/file={file}").status_code in (403, 404)


def test_no_address_is_fetched(site: httpx.Client) -> None:
    asked: list[str] = []

    class Note(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    trap = HTTPServer(("127.0.0.1", 0), Note)
    threading.Thread(target=trap.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{trap.server_port}/secret"
    assert site.get(f"/web/gradio_api/file={url}").status_code == 404
    for place in (url, "https://example.com/a.jpg", "/etc/passwd"):
        file = {"path": place, "meta": {"_type": "gradio.FileData"}, "orig_name": "a.jpg"}
        said = send_event(site, "_process", [[file], 0])
        assert "root:" not in said
        assert '"success":false' in said.replace(" ", "")
    trap.shutdown()
    assert asked == []


def test_the_page_asks_for_nothing_elsewhere_and_says_so(site: httpx.Client) -> None:
    answer = site.get("/web/")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    for host in ("googleapis", "gstatic", "cdnjs", "jsdelivr", "unpkg"):
        assert host not in answer.text


def test_browsers_are_sent_to_the_web_app(site: httpx.Client) -> None:
    answer = site.get("/", headers={"Accept": "text/html"})
    assert answer.is_redirect
    assert answer.headers["location"] == "/web"
    assert site.get("/web", follow_redirects=True).status_code == 200


def test_the_server_stops_though_a_page_is_open(browser: Browser, serve: Serve) -> None:
    # The block ends when the server has ended, and fails where it waits for the page.
    with serve(mounts=(mount,), shutdown_seconds=3600) as client:
        visit = Visit(browser, client)
        visit.open("Registry")
        expect(visit.page.get_by_text("This server has no registry")).to_be_visible()
    visit.context.close()


def test_a_registry_keeps_what_the_page_added(
    browser: Browser, serve: Serve, tmp_path: Path, letter: bytes
) -> None:
    with serve(mounts=(mount,), registry=tmp_path / "stamps.db") as client:
        visit = Visit(browser, client)
        visit.open("Registry")
        add(visit, "Kept", letter)
        visit.context.close()
    with Registry.open(tmp_path / "stamps.db") as registry:
        assert [design.name for design in registry.designs()] == ["Kept"]
