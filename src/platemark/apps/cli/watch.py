"""``platemark watch``: the vehicles of a video, by their plates."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from platemark.apps.cli.common import (
    FAILED,
    INTERRUPTED,
    ModelOption,
    ProgressBar,
    QuietOption,
    ThreadsOption,
    WorkersOption,
    load_plates,
    messages,
    progress,
    workers_for,
    writable_folder,
)
from platemark.apps.cli.find import AnnotatedOption, MinScoreOption, OutputOption, keep_inputs
from platemark.apps.cli.output import open_output
from platemark.apps.cli.plates import RegionsOption, names
from platemark.apps.cli.rows import Row, RowFormat, RowFormatOption, RowLayout, print_rows
from platemark.errors import PlatemarkError
from platemark.usecases.export import PictureNames

if TYPE_CHECKING:
    from platemark.imaging.video import Frame
    from platemark.usecases.watch import Event

EVENTS = RowLayout(
    ("source", "from", "to", "text", "score", "region"),
    lambda row: [
        (
            row["source"],
            f"{row['start']:.1f} s",
            f"{row['end']:.1f} s",
            row["text"],
            f"{row['text_score']:.2f}",
            (row["region"] or {}).get("code"),
        )
    ],
)


def watch(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="VIDEO",
            help="MP4, MOV, MKV, WebM, AVI; addresses, also of live streams (rtsp://...).",
            show_default=False,
        ),
    ],
    format: RowFormatOption = None,  # noqa: A002 - the option is called so
    output: OutputOption = None,
    annotated: AnnotatedOption = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.01, help="Frames to look at in a second; default: all of them."),
    ] = None,
    min_text_score: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Leave out plates read with less certainty.")
    ] = 0.5,
    min_score: MinScoreOption = None,
    regions: RegionsOption = None,
    model: ModelOption = None,
    threads: ThreadsOption = None,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
) -> None:
    """Report the vehicles of videos by their plates, one event each: text, region, from, to.

    Exit status: 0 all videos done, 1 some failed (the others are done), 2 wrong usage.
    """
    from platemark.usecases.watch import watch as events_of

    with ExitStack() as stack:
        for target, option in ((output, "--output"), (annotated, "--annotated")):
            keep_inputs(inputs, target, option)
        if annotated:
            writable_folder(annotated, "--annotated")
        pipeline = load_plates(model, threads=threads, min_score=min_score)
        try:
            pipeline = pipeline.with_regions(names(regions))
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        stream = stack.enter_context(open_output(output)) if output else None
        bar = stack.enter_context(progress("frames", quiet=quiet, rate=True))
        look = partial(
            events_of,
            pipeline,
            min_text_score=min_text_score,
            workers=workers_for(workers, threads),
        )
        rows = _rows(inputs, look, rate, annotated, bar)
        wanted = format or (RowFormat.JSONL if output else None)
        try:
            failed = print_rows(rows, EVENTS, wanted, stream)
        except KeyboardInterrupt:
            messages().print("Interrupted. The events before it are complete.", markup=False)
            raise typer.Exit(INTERRUPTED) from None
    if failed:
        raise typer.Exit(FAILED)


def _rows(
    inputs: list[str],
    look: "Callable[[Iterator[Frame]], Iterator[Event]]",
    rate: float | None,
    annotated: Path | None,
    bar: ProgressBar,
) -> Iterator[Row]:
    """The JSON object of each event, or of what was wrong with a video."""
    from platemark.imaging.draw import draw_image
    from platemark.imaging.video import read_video

    stems, done = PictureNames(), count(1)

    def frames(name: str) -> "Iterator[Frame]":
        for frame in read_video(name, rate=rate):
            yield frame
            bar(next(done))

    for name in inputs:
        try:
            for event in look(frames(name)):
                if annotated:
                    stem = f"{stems.stem(name, 0)}-{event.frame:06d}-{event.mark.text}"
                    picture = draw_image(event.image, [event.mark])
                    picture.save(annotated / f"{stem}.jpg", quality=92)
                with bar.hidden():
                    yield event.to_dict()
        except PlatemarkError as error:
            messages().print(f"error: {error.message}", style="red", markup=False)
            yield {"source": error.source or name, "error": error.to_dict()}
