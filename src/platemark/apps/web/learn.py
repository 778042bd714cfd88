"""The tab that learns a stamp from a picture, and then says where it is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from platemark.apps.learning import Lesson
from platemark.apps.services import Services
from platemark.apps.web import documents, views
from platemark.apps.web.uploads import check_may_write, quiet, upload
from platemark.errors import InvalidRequest, PlatemarkError
from platemark.imaging.sources import Unread

_HOUR = 3600.0
_POLL = 1.0
_USUAL = 5.0
_MOST_SHOWN = 20
_REFUSED = (
    "This server does not learn",
    "Its setting learn_minutes allows it. On a machine of your own: platemark learn seal.png "
    "--output seal",
)
_EMPTY = (
    "One picture is enough",
    "Drop a picture of your stamp, label or logo. A detector for it is taught on this server; then "
    "drop photos and see where it is.",
)
_HONEST = (
    "The minutes are those of fine-tuning; choosing thresholds and testing come on top, some "
    "minutes on two idle cores. Framed stamps seldom need more than 0, labels and logos do. Keep "
    "this page open: two minutes after it is closed the training ends."
)


class LearnTab:
    """The contents of the tab.

    Args:
        services: What teaches, and finds.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        if not services.learning.allowed:
            gr.HTML(views.empty("learn", *_REFUSED))
            return
        self._lesson = gr.State(time_to_live=_HOUR, delete_callback=_forget)
        with gr.Row(elem_classes="pm-cols"):
            with gr.Column(elem_classes="pm-side"):
                self._inputs()
            with gr.Column(elem_classes="pm-main"):
                self._status = gr.HTML("", elem_id="pm-learn-status")
                self._report = gr.HTML(views.empty("learn", *_EMPTY), elem_id="pm-learn-report")
                with gr.Row(visible=False, elem_classes="pm-save") as self._save:
                    self._download = gr.DownloadButton("Save the model", elem_id="pm-learn-zip")
                self._found = gr.HTML("", elem_id="pm-learn-found")
        self._wire()

    def _inputs(self) -> None:
        settings, learning = self._services.settings, self._services.learning
        self._pictures = upload(
            settings, "Pictures of the stamp", "pm-learn-pictures", several=True
        )
        tunes = learning.fine_tunes
        self._minutes = gr.Slider(
            0,
            learning.most_minutes if tunes else 0.0,
            min(_USUAL, learning.most_minutes) if tunes else 0.0,
            step=1,
            label="Minutes of fine-tuning",
            info="" if tunes else "None: PyTorch is not installed on this server.",
            interactive=tunes,
            elem_id="pm-learn-minutes",
        )
        gr.HTML(f'<p class="pm-hint">{_HONEST}</p>')
        self._learn = gr.Button("Learn", variant="primary", elem_id="pm-learn-begin")
        self._stop = gr.Button("Stop", visible=False, elem_id="pm-learn-stop")
        self._photos_row = gr.Column(visible=False)
        with self._photos_row:
            self._photos = upload(
                settings, "Photos to search for it", "pm-learn-photos", several=True
            )

    def _wire(self) -> None:
        shown = [
            *(self._status, self._report, self._save, self._download),
            *(self._photos_row, self._learn, self._stop, self._found, self._lesson),
        ]
        self._learn.click(self._teach, [self._pictures, self._minutes], shown, **quiet())
        self._stop.click(_stop, self._lesson, None, **quiet())
        self._photos.upload(
            self._find,
            [self._photos, self._lesson],
            [self._status, self._found],
            trigger_mode="always_last",
            **quiet(),
        )

    def _teach(
        self, pictures: list[str] | None, minutes: float, request: gr.Request
    ) -> Iterator[list[Any]]:
        """Everything the tab shows, while a model is taught and after."""
        nothing = [gr.skip()] * 8
        try:
            check_may_write(request)
            if not pictures:
                raise InvalidRequest("drop a picture of the stamp first")
            lesson = self._services.learning.begin([Path(one) for one in pictures], minutes)
        except PlatemarkError as error:
            yield [views.failure(error), *nothing]
            return
        hidden, visible = gr.update(visible=False), gr.update(visible=True)
        yield ["", "", hidden, gr.skip(), hidden, hidden, visible, "", lesson]
        while lesson.running:
            yield [views.lesson(lesson.progress(_POLL)), *nothing]
        if lesson.report is None:
            assert lesson.error is not None
            blank = views.empty("learn", *_EMPTY)
            failed = views.failure(lesson.error)
            yield [failed, blank, hidden, gr.skip(), hidden, visible, hidden, "", None]
            return
        report, saved = views.learned(lesson.report), gr.update(value=str(lesson.archive()))
        yield ["", report, visible, saved, visible, visible, hidden, "", lesson]

    def _find(self, paths: list[str] | None, lesson: Lesson | None) -> Iterator[list[Any]]:
        """The pages of photos with the marks that are the one that was learned."""
        if not paths:
            return
        if lesson is None or lesson.report is None:
            yield [views.notice("Nothing is learned.", "Teach the stamp first.", "bad"), ""]
            return
        shown: list[str] = []
        bearing = 0
        files = [Path(path) for path in paths]
        try:
            processed = documents.process(self._services, "stamp", files, None, lesson.pipeline)
            for document, item in processed:
                done, result = len(document.results), document.results[-1]
                bearing += bool(result.marks)
                if len(shown) < _MOST_SHOWN:
                    shown.append(_page(item, result, done, document.count))
                yield [views.progress(done, document.count), "".join(shown)]
        except PlatemarkError as error:
            yield [views.failure(error), "".join(shown)]
            return
        tone = "good" if bearing else ""
        yield [views.notice(f"{bearing} of {done}", "pictures bear it.", tone), "".join(shown)]


def _page(item: Any, result: Any, place: int, pages: int) -> str:
    if isinstance(item, Unread) or result.error is not None:
        message = result.error.message if result.error else "It cannot be read"
        return views.notice("Not read:", views.sentence(message), "bad")
    return views.page("stamp", item, result, place, pages)


def _stop(lesson: Lesson | None) -> None:
    if lesson is not None:
        lesson.stop()


def _forget(lesson: Lesson | None) -> None:
    if lesson is not None:
        lesson.close()
