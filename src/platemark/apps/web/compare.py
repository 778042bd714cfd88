"""The tab that compares two stamps."""

from functools import partial
from pathlib import Path

import gradio as gr

from platemark.apps.services import Services
from platemark.apps.web import documents, views
from platemark.apps.web.pictures import overlay
from platemark.apps.web.samples import pairs
from platemark.apps.web.uploads import quiet, upload
from platemark.errors import PlatemarkError

_EMPTY = (
    "Two pictures, one question",
    "Did one stamp make both imprints? Give a picture or PDF of each: the imprints are found, laid "
    "on each other and judged.",
)


class CompareTab:
    """The contents of the tab.

    Args:
        services: What compares them.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        with gr.Row(elem_classes="pm-cols"):
            with gr.Column(elem_classes="pm-side"):
                first = upload(services.settings, "The first", "pm-compare-a")
                second = upload(services.settings, "The second", "pm-compare-b")
                ask = gr.Button("Compare", variant="primary", elem_id="pm-compare-ask")
                with gr.Accordion("Options", open=False):
                    cropped = gr.Checkbox(
                        label="The pictures are stamps already cropped, so none is detected"
                    )
                    pages = [
                        gr.Number(
                            None,
                            label=f"Page of the {name}",
                            info="Empty: the first that shows a stamp.",
                            minimum=1,
                            precision=0,
                        )
                        for name in ("first", "second")
                    ]
                examples = [
                    (gr.Button(label, elem_id=f"pm-compare-example-{number}"), paths)
                    for number, (label, paths) in enumerate(pairs())
                ]
            with gr.Column(elem_classes="pm-main"):
                shown = gr.HTML(views.empty("compare", *_EMPTY), elem_id="pm-compare-result")
        given = [first, second, cropped, *pages]
        ask.click(self._compare, given, shown, api_visibility="private", show_progress="minimal")
        for button, (a, b) in examples:
            button.click(
                partial(self._compare, str(a), str(b), False, None, None), None, shown, **quiet()
            )

    def _compare(
        self,
        first: str | None,
        second: str | None,
        cropped: bool,
        first_page: float | None,
        second_page: float | None,
    ) -> str:
        if first is None or second is None:
            which = "first" if first is None else "second"
            return views.notice("One is missing.", f"Drop the {which} picture too.", "bad")
        services = self._services
        files = zip((first, second), (first_page, second_page), strict=True)
        pages = [
            documents.pages_of(services, Path(file), int(page) - 1 if page else None)
            for file, page in files
        ]

        def work() -> str:
            found, a, b = services.compare(*pages, cropped=cropped)
            return views.verdict(found, *overlay(a.pixels, b.pixels, found))

        try:
            with services.work.admit():
                return services.work.call(work)
        except PlatemarkError as error:
            return views.failure(error)
