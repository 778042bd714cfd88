"""``platemark review``: label and correct a data set in the browser."""

import getpass
import threading
import webbrowser
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from platemark.apps.cli.common import (
    ModelOption,
    QuietOption,
    ThreadsOption,
    load_plates,
    load_stamps,
    messages,
    on_terminal,
)
from platemark.errors import MissingExtra

if TYPE_CHECKING:
    from platemark.pipeline import Pipeline


def review(
    dataset: Annotated[
        Path,
        typer.Argument(help="A manifest, its folder, or a folder of images.", show_default=False),
    ],
    kind: Annotated[
        Literal["plate", "stamp"] | None,
        typer.Option(help="What to mark; default: what the manifest has."),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; default: 127.0.0.1.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any free one.")] = 8010,
    open_: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Open the browser; default: on a terminal."),
    ] = None,
    annotator: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Who corrects; default: the user of this machine."),
    ] = None,
    model: ModelOption = None,
    predict: Annotated[
        bool, typer.Option("--predict/--no-predict", help="Have the model annotate first.")
    ] = True,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Label and correct images in the browser, those first of which the model is least certain.

    Every change is on the disk before the page says that it is saved: in a journal beside the
    manifest, with its history. The manifest follows within a second. Ctrl-C or SIGTERM end it.
    """
    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        raise MissingExtra("reviewing in the browser", "serve")
    from platemark.apps.review import Review, create_review
    from platemark.apps.server.run import run
    from platemark.apps.settings import Settings
    from platemark.datasets import ReviewStore

    settings = Settings.load(host=host, port=port, log_level="warning")
    store = ReviewStore.open(dataset, kind)

    def load() -> "Pipeline[Any]":
        if store.kind == "plate":
            return load_plates(model, threads=threads)
        return load_stamps(model, threads=threads, read=True)

    def ready(address: str) -> None:
        if not quiet:
            messages().print(
                f"platemark serves on {address}, {len(store.ids)} images to review; "
                f"corrections go into {store.manifest}",
                markup=False,
            )
        if on_terminal() if open_ is None else open_:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    try:
        made = Review(store, load if predict else None, annotator or _user())
        run(lambda: create_review(made, settings), settings, ready=ready)
    finally:
        store.close()


def _user() -> str:
    try:
        return getpass.getuser()
    except OSError:  # a user without a name, as in a container
        return "somebody"
