"""The tabs that find plates and stamps: a file in, its pages with their marks out."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from platemark.apps.services import Kind, Services
from platemark.apps.web import documents, views
from platemark.apps.web.cover import CoverForm
from platemark.apps.web.documents import Document
from platemark.apps.web.samples import Sample, samples
from platemark.apps.web.uploads import check_may_write, quiet, role_of, upload
from platemark.errors import NoStampFound, PlatemarkError
from platemark.imaging.sources import Unread
from platemark.registry import Added
from platemark.types import StampMark
from platemark.usecases.enrol import add_stamps
from platemark.usecases.pages import Item, StampPage

_HOUR = 3600.0
_SAVED = ("json", "csv", "zip")
_EMPTY = {
    "plate": (
        "No photo yet",
        "Drop photos or PDFs, or try one of the examples. Every plate is rectified, read and "
        "given with the score of its text.",
    ),
    "stamp": (
        "No document yet",
        "Drop scans, photos or PDFs, or try one of the examples. Every stamp is separated from its "
        "paper, described, and named where the registry knows it.",
    ),
}


class FindTab:
    """The contents of a tab that finds marks of one kind.

    Args:
        services: What finds them.
        kind: Of what kind they are.
    """

    def __init__(self, services: Services, kind: Kind) -> None:
        self._services, self._kind = services, kind
        self._document = gr.State(time_to_live=_HOUR, delete_callback=_forget)
        with gr.Row(elem_classes="pm-cols"):
            with gr.Column(elem_classes="pm-side"):
                self._inputs()
            with gr.Column(elem_classes="pm-main"):
                self._outputs()
        self._wire()

    def _inputs(self) -> None:
        services, kind = self._services, self._kind
        what = "Photos or PDFs with plates" if kind == "plate" else "Documents with stamps"
        self._file = upload(services.settings, what, f"pm-{kind}-file", several=True)
        self._buttons: list[tuple[Any, Sample]] = []
        if found := samples(kind):
            gr.HTML('<p class="pm-eyebrow">Or try one of these</p>')
            with gr.Row(elem_classes="pm-examples"):
                for number, sample in enumerate(found):
                    button = gr.Button(
                        sample.label,
                        elem_id=f"pm-{kind}-example-{number}",
                        elem_classes="pm-example",
                    )
                    self._buttons.append((button, sample))
            rules = "".join(
                f"#pm-{kind}-example-{number}{{background-image:url({sample.thumbnail()})}}"
                for number, sample in enumerate(found)
            )
            gr.HTML(f"<style>{rules}</style>")
        with gr.Accordion("Options", open=False):
            self._least = gr.Slider(
                0,
                1,
                0,
                step=0.05,
                label="Least score",
                info="0 leaves it to the model, which knows best.",
            )

    def _outputs(self) -> None:
        kind = self._kind
        self._status = gr.HTML("", elem_id=f"pm-{kind}-status")
        self._page = gr.HTML(views.empty(kind, *_EMPTY[kind]), elem_id=f"pm-{kind}-page")
        with gr.Row(visible=False, elem_classes="pm-pager") as self._pager:
            self._back = gr.Button("Previous", elem_id=f"pm-{kind}-back")
            self._number = gr.Number(
                1, label="Page", minimum=1, precision=0, elem_id=f"pm-{kind}-number"
            )
            self._on = gr.Button("Next", elem_id=f"pm-{kind}-on")
        self._cards = gr.HTML("", elem_id=f"pm-{kind}-cards")
        if kind == "stamp" and self._services.has_registry:
            self._enrol_form()
        self._alike = gr.HTML("", visible=kind == "stamp", elem_id=f"pm-{kind}-alike")
        with gr.Row(visible=False, elem_classes="pm-save") as self._save:
            self._downloads = [
                gr.DownloadButton(f"Save {ending.upper()}", elem_id=f"pm-{kind}-{ending}")
                for ending in _SAVED
            ]
        self._cover = CoverForm(self._services, kind, self._document, self._status)

    def _enrol_form(self) -> None:
        """What takes a stamp of the page into the registry."""
        self._wanted = gr.Row(visible=False, elem_id="pm-stamp-enrol", elem_classes="pm-enrol")
        with self._wanted:
            self._which = gr.Number(
                1, label="Stamp", minimum=1, precision=0, elem_id="pm-stamp-which"
            )
            self._name = gr.Textbox(
                "", label="Its name in the registry", max_lines=1, elem_id="pm-stamp-name"
            )
            self._enrol = gr.Button("Add to the registry", elem_id="pm-stamp-enrol-add")

    def _wire(self) -> None:
        shown = [self._status, self._page, self._cards, self._pager, self._number]
        outputs = [*shown, self._alike, self._save, *self._downloads, self._document]
        asked = [self._file, self._least]
        events = [
            self._file.upload(self._process, asked, outputs, trigger_mode="always_last", **quiet()),
            self._least.release(self._process, asked, outputs, **quiet()),
        ]
        events += [
            button.click(partial(self._example, sample), [self._least], outputs, **quiet())
            for button, sample in self._buttons
        ]
        cover = self._cover
        for event in events:
            event.then(cover.offer, self._document, [cover.row, cover.copy], **quiet())
        if self._kind == "stamp" and self._services.has_registry:
            for event in events:
                event.then(self._offer, self._document, self._wanted, **quiet())
            self._enrol.click(
                self._add_stamp,
                [self._document, self._number, self._which, self._name],
                [self._status, self._name],
                **quiet(),
            )
        turned = [self._status, self._page, self._cards, self._number]
        given = [self._document, self._number]
        self._back.click(partial(self._turn, -1), given, turned, **quiet())
        self._on.click(partial(self._turn, 1), given, turned, **quiet())
        self._number.submit(partial(self._turn, 0), given, turned, **quiet())

    def _example(self, sample: Sample, least: float) -> Iterator[list[Any]]:
        yield from self._process([str(sample.path)], least)

    def _process(self, paths: list[str] | None, least: float) -> Iterator[list[Any]]:
        """Everything the tab shows, once more after each page."""
        if not paths:
            yield [gr.skip()] * 11
            return
        nothing = [gr.skip()] * 4
        yield [views.progress(0, 1), *nothing, "", gr.update(visible=False), *[gr.skip()] * 4]
        document: Document | None = None
        try:
            files = [Path(path) for path in paths]
            asked = documents.process(self._services, self._kind, files, least or None)
            for document, item in asked:
                done = len(document.results)
                status = views.progress(done, document.count) if done < document.count else ""
                first = self._first(document, item) if done == 1 else nothing
                # Given away at once, so that pages can be turned while later ones are processed.
                kept = document if done == 1 else gr.skip()
                yield [status, *first, *[gr.skip()] * 5, kept]
        except PlatemarkError as error:
            blank = views.empty(self._kind, *_EMPTY[self._kind])
            hidden = gr.update(visible=False)
            yield [views.failure(error), blank, "", hidden, 1, "", hidden, *[gr.skip()] * 3, None]
            return
        if document is not None and any(result.error is None for result in document.results):
            saved = [gr.update(value=str(document.file(ending))) for ending in _SAVED]
            alike = views.heat_table(document.stamps)
            yield ["", *nothing, alike, gr.update(visible=True), *saved, document]

    def _first(self, document: Document, item: Item) -> list[Any]:
        several = document.count > 1
        page, cards = self._views(document, 0, item)
        number = gr.update(value=1, maximum=document.count, label=f"Page, of {document.count}")
        return [page, cards, gr.update(visible=several), number]

    def _views(self, document: Document, page: int, item: Item) -> tuple[str, str]:
        result = document.results[page]
        if isinstance(item, Unread) or result.error is not None:
            message = result.error.message if result.error else "It cannot be read"
            where = f"Page {page + 1} of {document.count}:" if document.count > 1 else "Not read:"
            return views.notice(where, views.sentence(message), "bad"), ""
        shown = views.page(self._kind, item, result, page + 1, document.count)
        return shown, views.cards(self._kind, item, result)

    def _offer(self, document: Document | None, request: gr.Request) -> Any:
        """Let those who may change the registry add what was found."""
        found = document is not None and bool(document.stamps)
        return gr.update(visible=found and role_of(request) == "write")

    def _add_stamp(
        self,
        document: Document | None,
        page: float | None,
        which: float | None,
        name: str,
        request: gr.Request,
    ) -> list[Any]:
        """Add a stamp of the page that is shown to the registry."""
        try:
            check_may_write(request)
            added = self._added(document, int(page or 1) - 1, int(which or 1) - 1, name)
        except PlatemarkError as error:
            return [views.failure(error), gr.skip()]
        known = added.design
        many = f"It has {known.samples} sample{'' if known.samples == 1 else 's'} now."
        if added.alike:
            many += f" It resembles {added.alike[0].design.name}, which is known too."
        return [views.notice(f"{known.name}:", many, "good"), ""]

    def _added(self, document: Document | None, page: int, which: int, name: str) -> Added:
        """Add a stamp.

        Raises:
            PlatemarkError: There is no such stamp, or it cannot be added.
        """
        services = self._services
        marks = document.results[page].marks if document is not None else ()
        if document is None or not 0 <= which < len(marks):
            raise NoStampFound(f"there is no stamp {which + 1} on this page; choose another number")
        stamps = tuple(mark for mark in marks[which : which + 1] if isinstance(mark, StampMark))
        found = [StampPage(document.files[page].name, page, stamps)]
        add = partial(add_stamps, services.registry, services.finder(read=True), found, name)
        with services.work.admit():
            (done,) = services.work.call(add)
        for error in (done.error, *(stamp.error for stamp in done.stamps)):
            if error is not None:
                raise error
        return done.added[0]

    def _turn(self, step: int, document: Document | None, number: float | None) -> list[Any]:
        if document is None:
            said = "The document is no longer kept; drop it once more."
            return [views.notice("Nothing to turn.", said, "bad"), *[gr.skip()] * 3]
        # Pages that are still being processed cannot be turned to.
        page = max(0, min(len(document.results) - 1, int(number or 1) - 1 + step))
        try:
            item: Item = documents.turn(self._services, document, page)
        except PlatemarkError as error:
            item = Unread(document.files[page].name, error, document.results[page].page)
        return ["", *self._views(document, page, item), page + 1]


def _forget(document: Document | None) -> None:
    if document is not None:
        document.downloads.cleanup()
