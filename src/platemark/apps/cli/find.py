"""What ``platemark plates`` and ``platemark stamps`` share: their options, and the run."""

import io
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from platemark.apps.cli.common import (
    FAILED,
    interrupted,
    load_pipeline,
    messages,
    progress,
    workers_for,
    writable_folder,
)
from platemark.apps.cli.output import (
    WRITERS,
    ResultFormat,
    TableLayout,
    open_output,
    standard_output,
    usual_format,
)
from platemark.usecases.export import PictureNames, ResultWriter

if TYPE_CHECKING:
    import PIL.Image

    from platemark.imaging.image import Image
    from platemark.imaging.interest import RegionOfInterest
    from platemark.imaging.sources import PageRead
    from platemark.pipeline import Pipeline
    from platemark.types import Result

InputsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT",
        help="Images, PDFs, folders (recursive), globs, - for standard input, @list.txt.",
        show_default=False,
    ),
]
FormatOption = Annotated[
    ResultFormat | None,
    typer.Option(
        "--format",
        help="Default: by the suffix of --output; a table on a terminal, jsonl when piped.",
    ),
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write results to this file.")
]
AnnotatedOption = Annotated[
    Path | None,
    typer.Option("--annotated", help="Write pictures annotated with the marks to this folder."),
]
MinScoreOption = Annotated[
    float | None,
    typer.Option(
        "--min-score", min=0.0, max=1.0, help="Least score of a mark; default: the model's own."
    ),
]

RegionOfInterestOption = Annotated[
    str | None,
    typer.Option(
        "--region-of-interest",
        metavar="X0,Y0,X1,Y1|POINTS|MASK",
        help="Search there only: a box, a polygon 'x,y x,y x,y', or a picture that is white there.",
    ),
]


@dataclass(frozen=True)
class Request:
    """What the options of a command ask for.

    Attributes:
        inputs: As given.
        format: How results are printed; None for the usual way.
        output: File for the results; None for standard output.
        annotated: Folder for pictures annotated with the marks.
        crops: Folder for the crops of marks.
        min_score: Least score of a mark.
        model: Name or path of a model.
        threads: CPU threads for a picture.
        workers: Pictures worked on at a time, see `workers_for`.
        quiet: No progress.
        registry: Known stamps that found ones are named by, a file or a URL.
        adapt: What the command changes about the pipeline.
        read: Whether stamps are read; plates always are.
        region: Part of the pictures in which marks are searched for: numbers, or a picture.
        writer: What prints the results of a pipeline to a stream, in place of the usual.
    """

    inputs: list[str]
    format: ResultFormat | None = None
    output: Path | None = None
    annotated: Path | None = None
    crops: Path | None = None
    min_score: float | None = None
    model: str | None = None
    threads: int | None = None
    workers: int | None = None
    quiet: bool = False
    registry: str | None = None
    adapt: "Callable[[Pipeline[Any]], Pipeline[Any]] | None" = None
    read: bool = False
    region: str | None = None
    writer: "Callable[[Any, TextIO, ResultFormat], ResultWriter] | None" = None


@dataclass
class _Tally:
    """How far a run has come."""

    done: int = 0
    failed: int = 0


def find(request: Request, layout: TableLayout, more: Sequence[ResultWriter] = ()) -> None:
    """Find the marks of all inputs and write what was asked for.

    Args:
        request: What to do.
        layout: The kind of marks, and how they are printed.
        more: Take the results too; they are closed after the last one, also of an interrupted run.

    Raises:
        typer.BadParameter: Something cannot be written, or would overwrite an input.
        typer.Exit: Some inputs failed, or the run was interrupted.
        ModelError: The models cannot be used.
    """
    with ExitStack() as stack:
        kind = request.format or usual_format(request.output)
        keep_inputs(request.inputs, request.annotated, "--annotated")
        keep_inputs(request.inputs, request.output, "--output")
        pictures = Pictures(
            request.annotated and writable_folder(request.annotated, "--annotated"),
            request.crops and writable_folder(request.crops, "--crops"),
        )
        pipeline = load_pipeline(
            stack,
            layout.kind,
            request.model,
            threads=request.threads,
            min_score=request.min_score,
            registry=request.registry,
            read=request.read,
        )
        if request.region is not None:
            pipeline = pipeline.with_region_of_interest(_region(request.region))
        if request.adapt is not None:
            pipeline = request.adapt(pipeline)
        # Opened last, so that a mistake above does not empty the results of an earlier run.
        output = request.output
        stream = stack.enter_context(open_output(output)) if output else standard_output(kind)
        if request.writer is None:
            writers = [WRITERS[kind](stream, layout), *more]
        else:
            writers = [request.writer(pipeline, stream, kind), *more]
        tally = _run(pipeline, request, layout.kind, writers, pictures)
    if tally.failed:
        raise typer.Exit(FAILED)


def _region(text: str) -> "RegionOfInterest":
    """The region of interest that an option gives.

    Raises:
        typer.BadParameter: It is neither numbers nor a picture.
    """
    from platemark.errors import InputError
    from platemark.imaging.interest import RegionOfInterest

    try:
        # os.path answers False where pathlib raises, as for a name that is too long.
        if os.path.isfile(text):  # noqa: PTH113
            return RegionOfInterest.read(text)
        return RegionOfInterest.parse(text)
    except (ValueError, InputError) as error:
        raise typer.BadParameter(str(error), param_hint="--region-of-interest") from error


@dataclass(frozen=True)
class Picture:
    """A picture as it is to be written.

    Attributes:
        folder: Where to.
        ending: What follows the name of the page.
        content: The bytes of the file.
    """

    folder: Path
    ending: str
    content: bytes


class Pictures:
    """Makes annotated pictures and crops for the folders that were asked for."""

    def __init__(self, annotated: Path | None, crops: Path | None) -> None:
        self._annotated = annotated
        self._crops = crops
        self._names = PictureNames()
        self.folders = [folder for folder in (annotated, crops) if folder]

    def draw(self, image: "Image", result: "Result") -> list[Picture]:
        """Make the pictures of one image, in any thread."""
        if result.error is not None or not self.folders:
            return []
        from platemark.imaging.draw import cut_mark, draw_image

        pictures = []
        if self._annotated:
            annotated = _encoded(draw_image(image, result.marks), "JPEG")
            pictures.append(Picture(self._annotated, ".jpg", annotated))
        if self._crops:
            for number, mark in enumerate(result.marks, 1):
                cut = _encoded(cut_mark(image.pixels, mark), "PNG")
                pictures.append(Picture(self._crops, f"-{number:02d}.png", cut))
        return pictures

    def write(self, result: "Result", pictures: list[Picture]) -> None:
        """Write the pictures of one image, which is named in the order of the results.

        Raises:
            OSError: A picture could not be written, for want of space for example.
        """
        if pictures:
            stem = self._names.stem(result.source, result.page)
            for picture in pictures:
                (picture.folder / f"{stem}{picture.ending}").write_bytes(picture.content)


def _encoded(picture: "PIL.Image.Image", format: str) -> bytes:  # noqa: A002 - as Pillow's
    stream = io.BytesIO()
    picture.save(stream, format, quality=92)
    return stream.getvalue()


def _run(
    pipeline: "Pipeline[Any]",
    request: Request,
    kind: str,
    writers: Sequence[ResultWriter],
    pictures: Pictures,
) -> _Tally:
    """Do all inputs, results in order, so that an interrupt loses only those in hand."""
    from platemark.imaging.image import Image
    from platemark.parallel import map_in_order
    from platemark.usecases.pages import reads_of_inputs

    def process(read: "PageRead") -> "tuple[Result, list[Picture]]":
        item = read()
        result = pipeline.result(item)
        return result, pictures.draw(item, result) if isinstance(item, Image) else []

    tally = _Tally()
    workers = workers_for(request.workers, request.threads)
    try:
        with progress(f"{kind}s", quiet=request.quiet) as bar:
            total = bar.expect if bar.shown else None
            reads = reads_of_inputs(request.inputs, pictures.folders, total)
            with closing(map_in_order(process, reads, workers)) as results:
                for result, made in results:
                    pictures.write(result, made)
                    with bar.hidden():
                        for writer in writers:
                            writer.write(result)
                    tally.done += 1
                    if result.error is not None:
                        tally.failed += 1
                        message = f"error: {result.error.message}"
                        messages().print(message, style="red", markup=False)
                    bar(tally.done)
    except KeyboardInterrupt:
        raise interrupted(tally.done, f"{kind}s") from None
    finally:
        for writer in writers:
            writer.close()
    return tally


def keep_inputs(inputs: list[str], target: Path | None, option: str) -> None:
    """Check that what is written cannot take the place of an input.

    Raises:
        typer.BadParameter: It can.
    """
    if target is None:
        return
    for name in inputs:
        places = (target, target / f"{Path(name).stem}.jpg")
        if any(same_file(place, name) for place in places):
            raise typer.BadParameter(
                f"the input {name} would be overwritten; choose another place", param_hint=option
            )


def same_file(place: Path, name: str) -> bool:
    """Whether a place is that of an input."""
    # os.path answers False where pathlib raises, as for a name that is too long.
    return os.path.exists(name) and os.path.exists(place) and place.samefile(name)  # noqa: PTH110
