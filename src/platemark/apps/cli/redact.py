"""``platemark redact``: cover plates or stamps."""

from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from platemark.apps.cli.common import (
    FAILED,
    MarkKind,
    ModelOption,
    ProgressBar,
    QuietOption,
    ThreadsOption,
    interrupted,
    load_plates,
    load_stamps,
    messages,
    progress,
    writable_folder,
)
from platemark.apps.cli.find import InputsArgument, same_file
from platemark.apps.cli.rows import Row, RowFormatOption, RowLayout, print_rows

if TYPE_CHECKING:
    from platemark.pipeline import Pipeline
    from platemark.types import RedactedFile
    from platemark.usecases.pages import Item


class CoverStyle(StrEnum):
    """How to cover it."""

    BLUR = "blur"
    BOX = "box"
    PIXELATE = "pixelate"


def _lines(row: Row) -> Iterator[list[object]]:
    covered = sum(len(page["marks"]) for page in row["pages"])
    yield [row["source"], row["output"], len(row["pages"]), covered]


LAYOUT = RowLayout(("source", "output", "pages", "covered"), _lines)


def redact(
    inputs: InputsArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the covered copies.")],
    kind: Annotated[MarkKind, typer.Option(help="What to cover.")] = MarkKind.PLATE,
    style: Annotated[CoverStyle, typer.Option(help="How; box is black.")] = CoverStyle.BLUR,
    min_score: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Least score of what is covered; default: 0.05 for plates, 0.1 for stamps.",
        ),
    ] = None,
    format: RowFormatOption = None,  # noqa: A002 - the option is called so
    model: ModelOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Cover plates or stamps, so that they cannot be read any more.

    Low-confidence marks and those too small to read are covered too. Copies have the format of the
    originals, and no EXIF; PDFs become PDFs of pictures, HEIC becomes JPEG. Exit status: 0 all
    inputs done, 1 some failed and have no copy (the others are done), 2 wrong usage.
    """
    from platemark.usecases.redact import redact_pages

    writable_folder(output, "--output")
    load = load_plates if kind is MarkKind.PLATE else load_stamps
    pipeline: Pipeline[Any] = load(model, threads=threads)
    work = partial(redact_pages, pipeline, style=style.value, min_score=min_score)
    with progress("pages", quiet=quiet) as bar:
        rows = _redacted(work, inputs, output, bar)
        failed = print_rows(rows, LAYOUT, format)
    if failed:
        raise typer.Exit(FAILED)


def _redacted(
    work: "Callable[[Iterator[Item]], RedactedFile]",
    inputs: list[str],
    output: Path,
    bar: ProgressBar,
) -> Iterator[Row]:
    """Write the copies, and give the JSON object of each."""
    from platemark.errors import InputError, PlatemarkError
    from platemark.usecases.export import PictureNames
    from platemark.usecases.pages import reads_of_inputs
    from platemark.usecases.redact import by_document

    names = PictureNames()
    total = bar.expect if bar.shown else None
    done = 0

    def counted() -> Iterator["Item"]:
        for number, read in enumerate(reads_of_inputs(inputs, [output], total)):
            bar(number)
            yield read()

    try:
        for source, pages in by_document(counted()):
            try:
                redacted = work(pages)
                target = output / f"{names.stem(source, 0)}{redacted.suffix}"
                if same_file(target, source):
                    raise InputError(
                        f"the input {source} would be overwritten; choose another folder",
                        source=source,
                    )
                redacted.save(target)
            except PlatemarkError as error:
                messages().print(f"error: {error.message}", style="red", markup=False)
                row: Row = {"source": source, "error": error.to_dict()}
            else:
                covered = [page.to_dict() for page in redacted.pages]
                row = {"source": source, "output": str(target), "pages": covered}
            done += 1
            with bar.hidden():
                yield row
    except KeyboardInterrupt:
        raise interrupted(done, "redact") from None
