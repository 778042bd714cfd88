"""The form below the marks of a document that makes a copy in which they are covered."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from platemark.apps.services import Kind, Services
from platemark.apps.web import documents, views
from platemark.apps.web.documents import Document
from platemark.apps.web.uploads import quiet
from platemark.errors import PlatemarkError
from platemark.imaging.cover import Style

_STYLES: list[tuple[str, Style]] = [("Blur", "blur"), ("Pixelate", "pixelate"), ("Black", "box")]


class CoverForm:
    """How to cover, what begins it, and the copy.

    Args:
        services: What covers the marks.
        kind: Of what kind they are.
        document: What is shown.
        status: Where progress and errors are said.
    """

    def __init__(self, services: Services, kind: Kind, document: gr.State, status: gr.HTML) -> None:
        self._services = services
        with gr.Row(visible=False, elem_id=f"pm-{kind}-cover", elem_classes="pm-cover") as self.row:
            style = gr.Radio(
                _STYLES,
                value="blur",
                label=f"A copy without {kind}s",
                elem_id=f"pm-{kind}-cover-style",
            )
            make = gr.Button(f"Cover the {kind}s", elem_id=f"pm-{kind}-cover-make")
            self.copy = gr.DownloadButton(
                "Save the copy", visible=False, elem_id=f"pm-{kind}-cover-save"
            )
        hidden = gr.update(visible=False)
        style.change(lambda: hidden, None, self.copy, **quiet())
        make.click(self._make, [document, style], [status, self.copy], **quiet())

    def offer(self, document: Document | None) -> list[Any]:
        """Show the form where there are pages, without the copy of an earlier document."""
        done = document is not None and any(one.error is None for one in document.results)
        return [gr.update(visible=done), gr.update(visible=False)]

    def _make(self, document: Document | None, style: Style) -> Iterator[list[Any]]:
        if document is None:
            said = "The document is no longer kept; drop it once more."
            yield [views.notice("Nothing to cover.", said, "bad"), gr.skip()]
            return
        yield [views.progress(0, document.count), gr.update(visible=False)]
        try:
            for done, copy in documents.redact(self._services, document, style):
                if copy is None:
                    yield [views.progress(done, document.count), gr.skip()]
                else:
                    yield ["", gr.update(value=str(copy), visible=True)]
        except PlatemarkError as error:
            yield [views.failure(error), gr.skip()]
