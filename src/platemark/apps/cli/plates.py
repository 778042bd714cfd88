"""``platemark plates``: find and read licence plates."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from platemark.apps.cli.common import (
    FAILED,
    INTERRUPTED,
    ModelOption,
    QuietOption,
    ThreadsOption,
    load_pipeline,
    messages,
    on_terminal,
    progress,
    writable_folder,
)
from platemark.apps.cli.output import WRITERS, PictureNames, ResultFormat, ResultWriter

if TYPE_CHECKING:
    from platemark.imaging.image import Image
    from platemark.plates.pipeline import PlatePipeline
    from platemark.types import Result

# A file name need not be text: in JSON the escape that stands for its bytes gives it back.
_UNWRITABLE = "backslashreplace"


@dataclass
class _Tally:
    """How far a run has come."""

    done: int = 0
    failed: int = 0


def plates(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Images, PDFs, folders (recursive), globs, - for standard input, @list.txt.",
            show_default=False,
        ),
    ],
    format: Annotated[  # noqa: A002 - the option is called so
        ResultFormat | None,
        typer.Option("--format", help="Default: table on a terminal, jsonl when piped."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write results to this file.")
    ] = None,
    annotated: Annotated[
        Path | None, typer.Option(help="Write pictures with the plates drawn to this folder.")
    ] = None,
    crops: Annotated[
        Path | None, typer.Option(help="Write each plate, rectified, to this folder.")
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Least score of a plate; default: the model's own."),
    ] = None,
    model: ModelOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Find and read licence plates in images.

    Results go to standard output, progress and messages to standard error. Exit status: 0 all
    inputs done, 1 some failed (the others are done), 2 wrong usage.
    """
    with ExitStack() as stack:
        kind = format or _usual_format(output)
        _keep_inputs(inputs, annotated, "--annotated")
        _keep_inputs(inputs, output, "--output")
        pictures = _Pictures(
            annotated and writable_folder(annotated, "--annotated"),
            crops and writable_folder(crops, "--crops"),
        )
        pipeline = load_pipeline(model, threads=threads, min_score=min_score)
        # Opened last, so that a mistake above does not empty the results of an earlier run.
        stream = stack.enter_context(_opened(output)) if output else _standard_output(kind)
        tally = _run(pipeline, inputs, WRITERS[kind](stream), pictures, quiet)
    if tally.failed:
        raise typer.Exit(FAILED)


class _Pictures:
    """Writes annotated pictures and crops to the folders that were asked for."""

    def __init__(self, annotated: Path | None, crops: Path | None) -> None:
        self._annotated = annotated
        self._crops = crops
        self._names = PictureNames()
        self.folders = [folder for folder in (annotated, crops) if folder]

    def write(self, image: "Image", result: "Result") -> None:
        """Write the pictures of one image.

        Raises:
            OSError: A picture could not be written, for want of space for example.
        """
        if result.error is not None or not (self._annotated or self._crops):
            return
        import PIL.Image

        from platemark.imaging.draw import draw_marks, rectify

        stem = self._names.stem(result.source, result.page)
        if self._annotated:
            drawn = PIL.Image.fromarray(draw_marks(image.pixels, result.marks))
            drawn.save(self._annotated / f"{stem}.jpg", quality=92)
        if self._crops:
            for number, mark in enumerate(result.marks):
                crop = PIL.Image.fromarray(rectify(image.pixels, mark.quad).pixels)
                crop.save(self._crops / f"{stem}-{number}.png")


def _run(
    pipeline: "PlatePipeline",
    inputs: list[str],
    writer: ResultWriter,
    pictures: _Pictures,
    quiet: bool,
) -> _Tally:
    """Do all inputs, one result at a time, so that an interrupt loses only the one in hand."""
    tally = _Tally()
    try:
        with progress("plates", quiet=quiet) as tell:
            for image, result in _results(pipeline, inputs, pictures.folders):
                if image is not None:
                    pictures.write(image, result)
                writer.write(result)
                tally.done += 1
                if result.error is not None:
                    tally.failed += 1
                    messages().print(f"error: {result.error.message}", style="red", markup=False)
                tell(tally.done, None)
    except KeyboardInterrupt:
        messages().print(
            f"Interrupted. The {tally.done} finished are complete; to go on, give the inputs that "
            "are left, for example as a list: platemark plates @left.txt",
            markup=False,
        )
        raise typer.Exit(INTERRUPTED) from None
    finally:
        writer.close()
    return tally


def _results(
    pipeline: "PlatePipeline", inputs: list[str], written: list[Path]
) -> Iterator[tuple["Image | None", "Result"]]:
    from platemark.imaging.image import Image
    from platemark.imaging.sources import expand_inputs, read_expanded

    # Pictures of this and earlier runs, in a folder within an input folder, are no photos.
    given = [Path(name).resolve() for name in inputs]
    folders = [folder.resolve() for folder in written]
    ours = {home for home in folders if not any(path.is_relative_to(home) for path in given)}
    items = read_expanded(
        item
        for item in expand_inputs(inputs)
        if not (ours and isinstance(item, str) and ours.intersection(Path(item).resolve().parents))
    )
    while True:
        start = perf_counter()
        item = next(items, None)
        if item is None:
            return
        yield (item if isinstance(item, Image) else None), pipeline.result(item, start)


def _keep_inputs(inputs: list[str], target: Path | None, option: str) -> None:
    """See that what is written cannot take the place of an input.

    Raises:
        typer.BadParameter: It can.
    """
    if target is None:
        return
    for name in inputs:
        places = (target, target / f"{Path(name).stem}.jpg")
        # os.path answers False where pathlib raises, as for a name that is too long.
        if os.path.exists(name) and any(  # noqa: PTH110
            place.exists() and place.samefile(name) for place in places
        ):
            raise typer.BadParameter(
                f"the input {name} would be overwritten; choose another place", param_hint=option
            )


def _standard_output(kind: ResultFormat) -> TextIO:
    """Standard output, ready for any file name and text; JSON and CSV are UTF-8 on every system.

    Raises:
        typer.BadParameter: It is closed.
    """
    if sys.stdout is None:
        raise typer.BadParameter("standard output is closed; name a file", param_hint="--output")
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding = None if kind is ResultFormat.TABLE else "utf-8"
        sys.stdout.reconfigure(encoding=encoding, errors=_UNWRITABLE)
    return sys.stdout


def _opened(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", errors=_UNWRITABLE, newline="")
    except OSError as error:
        raise typer.BadParameter(
            f"cannot write to {path} ({error.strerror}); choose another file",
            param_hint="--output",
        ) from error


def _usual_format(output: Path | None) -> ResultFormat:
    return ResultFormat.JSONL if output or not on_terminal() else ResultFormat.TABLE
