"""What the commands share: options, messages, checks of the folders they write to."""

import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from platemark.errors import (
    MissingExtra,
    ModelNotFound,
    PlatemarkError,
    RecipeError,
    SettingsError,
)

if TYPE_CHECKING:
    from platemark.pipeline import Pipeline
    from platemark.plates.pipeline import PlatePipeline
    from platemark.registry import Registry
    from platemark.stamps.pipeline import StampPipeline
    from platemark.types import Box

FAILED = 1
WRONG_USAGE = 2
ABSENT = 3
SEEN = 3
INTERRUPTED = 130

_WRONG_USAGE_ERRORS = (MissingExtra, ModelNotFound, RecipeError, SettingsError)


class MarkKind(StrEnum):
    """The marks that are meant."""

    PLATE = "plate"
    STAMP = "stamp"


class TextFormat(StrEnum):
    """How a command that reports once prints its report."""

    TABLE = "table"
    JSON = "json"


ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME|PATH",
        help="A bundled model, a model folder, an .onnx beside its card, or hf:USER/NAME.",
    ),
]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="CPU threads for a picture; default: 1.")
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Pictures worked on at a time; default: all cores, or 1 where --threads is given.",
    ),
]
RegistryOption = Annotated[
    str,
    typer.Option(
        "--registry", metavar="URL", help="A SQLite file such as stamps.db, or postgresql://..."
    ),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress and no messages, errors excepted.")
]


def messages() -> Console:
    """The console for progress and messages: standard error, never the results."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def report_console(stream: TextIO | None = None) -> Console:
    """The console for results, by default standard output; in a file wide enough not to cut."""
    console = Console(file=stream, highlight=False)
    if not console.is_terminal:
        console.width = 160
    return console


def report_error(error: PlatemarkError) -> int:
    """Name an error on standard error and return the exit status it gives."""
    messages().print(f"error: {error.message}", style="red", markup=False)
    return WRONG_USAGE if isinstance(error, _WRONG_USAGE_ERRORS) else FAILED


def interrupted(done: int, command: str) -> typer.Exit:
    """Say that a run was interrupted and how to go on, and return the exit status for it."""
    messages().print(
        f"Interrupted. The {done} finished are complete; to go on, give the inputs that are left, "
        f"for example as a list: platemark {command} @left.txt",
        markup=False,
    )
    return typer.Exit(INTERRUPTED)


def load_plates(
    model: str | None, *, threads: int | None, min_score: float | None = None
) -> "PlatePipeline":
    """Load the models for plates, see `PlatePipeline.from_pretrained`.

    Raises:
        ModelError: The models cannot be used.
    """
    from platemark.plates.pipeline import PlatePipeline

    _set_threads(threads)
    return PlatePipeline.from_pretrained(model, threads=threads, min_score=min_score)


def load_stamps(
    model: str | None,
    *,
    threads: int | None,
    min_score: float | None = None,
    registry: "Registry | None" = None,
    read: bool = False,
) -> "StampPipeline":
    """Load the models for stamps, see `StampPipeline.from_pretrained`.

    Raises:
        ModelError: The models cannot be used.
    """
    from platemark.stamps.pipeline import StampPipeline

    _set_threads(threads)
    return StampPipeline.from_pretrained(
        model, threads=threads, min_score=min_score, registry=registry, read=read
    )


def load_pipeline(
    stack: ExitStack,
    kind: str,
    model: str | None,
    *,
    threads: int | None = None,
    min_score: float | None = None,
    registry: str | None = None,
    read: bool = False,
    regions: Sequence[str] | None = None,
) -> "Pipeline[Any]":
    """Load the models for plates or stamps.

    Args:
        stack: Closes the registry.
        kind: ``"plate"`` or ``"stamp"``.
        model: Name or path of a model.
        threads: CPU threads for a picture.
        min_score: Least score of a mark.
        registry: Known stamps that found ones are named by, a file or a URL.
        read: Whether stamps are read; plates always are.
        regions: Plates to expect, see `PlatePipeline.with_regions`.

    Raises:
        typer.BadParameter: There is no such region.
        ModelError: The models cannot be used.
        RegistryError: The registry cannot be opened.
    """
    if kind == MarkKind.PLATE:
        plates = load_plates(model, threads=threads, min_score=min_score)
        try:
            return plates if regions is None else plates.with_regions(regions)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
    known = None
    if registry is not None:
        known = stack.enter_context(open_registry(registry, model=model))
    return load_stamps(model, threads=threads, min_score=min_score, registry=known, read=read)


def _set_threads(threads: int | None) -> None:
    """Hold OpenCV, which has threads of its own, to as many as the models have: by default 1."""
    import cv2

    # What Pillow finds odd in a file is of no use beside our own message that names the file.
    warnings.filterwarnings("ignore", module="PIL")
    cv2.setNumThreads(threads or 1)


def workers_for(workers: int | None, threads: int | None) -> int:
    """How many pictures to work on at a time, by what the options say.

    Whoever gives the threads of a picture alone says how much of the machine is to be used.
    """
    from platemark.parallel import usable_cores

    return workers or (usable_cores() if threads is None else 1)


def open_registry(
    url: str, *, create: bool = False, model: str | None = None
) -> "closing[Registry]":
    """Open a registry, which is closed at the end of the block.

    Args:
        url: A file, or ``postgresql://...``.
        create: Make a file that does not exist.
        model: The stamp models that are in use; their comparer judges imprints.

    Raises:
        RegistryError: It cannot be opened.
        MissingExtra: The library for the server is not installed.
        ModelError: The models cannot be used.
    """
    from platemark.registry import Registry
    from platemark.stamps.pipeline import load_comparer

    comparer = None if model is None else load_comparer(model)
    return closing(Registry.open(url, create=create, comparer=comparer))


def check_exists(path: Path | None, option: str) -> None:
    """Check that what an option names is there.

    Raises:
        typer.BadParameter: It is not.
    """
    if path is not None and not path.exists():
        raise typer.BadParameter(f"{path} does not exist", param_hint=option)


def writable_folder(folder: Path, option: str) -> Path:
    """Make a folder and check that a file can be written there, before the work begins.

    Raises:
        typer.BadParameter: The folder cannot be made or not be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise typer.BadParameter(
            f"cannot write to {folder} ({error.strerror}); choose another folder",
            param_hint=option,
        ) from error


def check_file(path: Path, option: str) -> None:
    """Check that a file can be written, before the work begins.

    Raises:
        typer.BadParameter: It cannot be.
    """
    writable_folder(path.parent, option)
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder; name a file", param_hint=option)


def parse_box(text: str | None) -> "Box | None":
    """Read the box of an option.

    Raises:
        typer.BadParameter: It is not four numbers.
    """
    from platemark.types import as_box

    if text is None:
        return None
    try:
        return as_box([float(part) for part in text.split(",")])
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is not four numbers x0,y0,x1,y1", param_hint="--box"
        ) from error


class ProgressBar:
    """A progress bar on standard error: how many are done, of how many, and the time left.

    Args:
        bar: Draws it.
        task: What it shows.
        shown: Whether anybody sees it.
    """

    def __init__(self, bar: Progress, task: TaskID, *, shown: bool) -> None:
        self._bar, self._task, self.shown = bar, task, shown

    def __call__(self, done: int, total: int | None = None) -> None:
        """Show how many are done, and of how many where that is known only now."""
        self._bar.update(self._task, completed=done, total=total)

    def stage(self, label: str, done: int, total: int) -> None:
        """Show how far a stage of the work has come; a new stage has a time left of its own."""
        if self._bar.tasks[self._task].description != label:
            self._bar.reset(self._task, description=label)
        self._bar.update(self._task, completed=done, total=total)

    def expect(self, total: int) -> None:
        """Show of how many."""
        self._bar.update(self._task, total=total)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the bar off a terminal while results are printed to it."""
        shared = self.shown and on_terminal()
        if shared:
            self._bar.stop()
        try:
            yield
        finally:
            if shared:
                self._bar.start()


class _Rate(ProgressColumn):
    """How many are done in a second."""

    def render(self, task: Task) -> Text:
        """Draw the column."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s")


@contextmanager
def progress(label: str, *, quiet: bool, rate: bool = False) -> Iterator[ProgressBar]:
    """Show a progress bar on standard error, on a terminal only; ``rate``, also how fast it is."""
    console = messages()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *([_Rate()] if rate else []),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    hidden = quiet or not console.is_terminal
    with Progress(
        *columns, console=console, transient=True, disable=hidden, redirect_stdout=False
    ) as bar:
        yield ProgressBar(bar, bar.add_task(label, total=None), shown=not hidden)


def on_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()
