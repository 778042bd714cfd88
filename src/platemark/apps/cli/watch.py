"""``platemark watch``: the marks of videos and cameras, and of folders that files drop into."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from platemark.apps.cli.common import (
    FAILED,
    INTERRUPTED,
    MarkKind,
    ModelOption,
    ProgressBar,
    QuietOption,
    ThreadsOption,
    WorkersOption,
    load_pipeline,
    messages,
    progress,
    workers_for,
    writable_folder,
)
from platemark.apps.cli.find import (
    AnnotatedOption,
    FormatOption,
    MinScoreOption,
    Pictures,
    keep_inputs,
)
from platemark.apps.cli.output import (
    PLATES,
    WRITERS,
    ResultFormat,
    TableLayout,
    open_output,
    stamp_layout,
    standard_output,
    usual_format,
)
from platemark.apps.cli.plates import RegionsOption, names
from platemark.apps.cli.rows import Row, RowFormat, RowLayout, print_rows
from platemark.apps.cli.stamps import KnownOption, ReadOption
from platemark.apps.cli.webhook import SecretOption, WebhookOption, sending
from platemark.errors import PlatemarkError
from platemark.usecases.export import CsvRows, CsvWriter, PictureNames, ResultWriter

if TYPE_CHECKING:
    from platemark.apps.cli.find import Picture
    from platemark.client.webhook import Outbox
    from platemark.imaging.video import Frame
    from platemark.pipeline import Pipeline
    from platemark.types import Result
    from platemark.usecases.folder import Arrival, FolderJournal
    from platemark.usecases.watch import Event

_STATE = ".platemark"
_MIN_TEXT_SCORE, _SETTLE_S = 0.5, 1.0


def _event_cells(row: Row) -> list[object]:
    known = row.get("identity") or {}
    return [
        row["source"],
        f"{row['start']:.1f} s",
        f"{row['end']:.1f} s",
        row["text"] if row["kind"] == "plate" else f"{row['color']} {row['shape']}",
        f"{row['text_score' if row['kind'] == 'plate' else 'score']:.2f}",
        (row["region"] or {}).get("code") if row["kind"] == "plate" else known.get("name"),
    ]


EVENTS = {
    kind: RowLayout(("source", "from", "to", *headings), lambda row: [_event_cells(row)])
    for kind, headings in {
        MarkKind.PLATE: ("text", "score", "region"),
        MarkKind.STAMP: ("stamp", "score", "most like"),
    }.items()
}


@dataclass(frozen=True)
class _Target:
    """Where results go.

    Attributes:
        kind: The marks.
        layout: How they are shown.
        format: How results are printed.
        output: File that they are added to; None for standard output.
        annotated: Folder for pictures annotated with the marks.
        outbox: Takes what a webhook is to send.
    """

    kind: MarkKind
    layout: TableLayout
    format: ResultFormat
    output: TextIO | None
    annotated: Path | None
    outbox: "Outbox | None"

    @property
    def stream(self) -> TextIO:
        """The file, or standard output."""
        return self.output or standard_output(self.format)

    @property
    def headed(self) -> bool:
        """Whether CSV wants the names of its columns."""
        return self.output is None or not self.output.tell()

    def writer(self) -> ResultWriter:
        """Prints results of pages."""
        if self.format is ResultFormat.CSV:
            return CsvWriter(self.stream, self.layout, headed=self.headed)
        return WRITERS[self.format](self.stream, self.layout)

    def print_events(self, rows: Iterator[Row]) -> int:
        """Print events and return how many rows are errors."""
        if self.format is not ResultFormat.CSV:
            return print_rows(rows, EVENTS[self.kind], RowFormat(self.format), self.stream)
        table = CsvRows(self.stream, self.layout.event_columns, headed=self.headed)
        failed = 0
        for row in rows:
            failed += "error" in row
            table.write([self.layout.event_row(row)])
        return failed


def watch(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="VIDEO|URL|DEVICE|DIR",
            help="Videos (MP4, MOV, MKV, WebM, AVI), addresses, also of live streams (rtsp://...), "
            "a camera (0, /dev/video0), or folders that files drop into.",
            show_default=False,
        ),
    ],
    kind: Annotated[MarkKind, typer.Option(help="The marks to detect.")] = MarkKind.PLATE,
    format: FormatOption = None,  # noqa: A002 - the option is called so
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Add results to the end of this file.")
    ] = None,
    annotated: AnnotatedOption = None,
    webhook: WebhookOption = None,
    webhook_secret: SecretOption = None,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder that remembers which files are done and what is still to be posted; "
            f"default: {_STATE} in the folder that is watched, for videos in the current one.",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.01, help="Videos: frames to process in a second; default: all."),
    ] = None,
    min_text_score: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help=f"Videos: leave out plates read with less certainty; default: {_MIN_TEXT_SCORE}.",
        ),
    ] = None,
    settle: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help=f"Folders: seconds without a change until a file is taken; default: {_SETTLE_S}.",
        ),
    ] = None,
    poll: Annotated[
        bool,
        typer.Option("--poll", help="Folders: list them every second, for network drives."),
    ] = False,
    stop_after: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Folders: end when nothing has come for this many seconds; default: never.",
        ),
    ] = None,
    min_score: MinScoreOption = None,
    regions: RegionsOption = None,
    registry: KnownOption = None,
    read: ReadOption = False,
    model: ModelOption = None,
    threads: ThreadsOption = None,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
) -> None:
    """Report what is seen: in videos each vehicle, by its plate, or stamp once; in folders the
    marks of each file that drops in, once.

    Exit status: 0 all done, 1 some failed (the others are done), 2 wrong usage, 130 after Ctrl-C.
    """
    from platemark.usecases.folder import FolderJournal, watch_folders
    from platemark.usecases.watch import watch as events_of

    dropped = _are_folders(inputs)
    for_videos = {"--rate": rate, "--min-text-score": min_text_score}
    for_folders = {"--settle": settle, "--poll": poll or None, "--stop-after": stop_after}
    for option, value in (for_videos if dropped else for_folders).items():
        if value is not None:
            meant = "videos" if dropped else "folders"
            raise typer.BadParameter(f"it is for {meant}", param_hint=option)
    if kind is MarkKind.PLATE and (registry or read):
        raise typer.BadParameter("--registry and --read are for --kind stamp")
    if kind is MarkKind.STAMP and (regions or min_text_score is not None):
        raise typer.BadParameter("--regions and --min-text-score are for --kind plate")
    _check_targets(inputs, output, annotated)
    home = state or (Path(inputs[0]) / _STATE if dropped else Path(_STATE))
    at_a_time = workers_for(workers, threads)
    try:
        with ExitStack() as stack:
            pipeline = load_pipeline(
                stack,
                kind,
                model,
                threads=threads,
                min_score=min_score,
                registry=registry,
                read=read,
                regions=names(regions),
            )
            # Before the file of results, which it may have to shorten.
            journal = stack.enter_context(FolderJournal(home, output)) if dropped else None
            target = _Target(
                kind,
                PLATES
                if kind is MarkKind.PLATE
                else stamp_layout(known=registry is not None, read=read),
                format or usual_format(output),
                stack.enter_context(open_output(output, add=True)) if output else None,
                annotated,
                stack.enter_context(sending(webhook, webhook_secret, home / "webhook")),
            )
            if journal is not None:
                come = partial(
                    watch_folders,
                    inputs,
                    done=journal.knows,
                    settle=_SETTLE_S if settle is None else settle,
                    workers=at_a_time,
                    poll=poll,
                    stop_after=stop_after,
                )
                if not quiet:
                    messages().print(f"Watching {', '.join(inputs)}; Ctrl-C ends.", markup=False)
                failed = _folders(come, pipeline, journal, target)
            else:
                events = partial(
                    events_of,
                    pipeline,
                    min_text_score=_MIN_TEXT_SCORE if min_text_score is None else min_text_score,
                    workers=at_a_time,
                )
                bar = stack.enter_context(progress("frames", quiet=quiet, rate=True))
                failed = target.print_events(_events(inputs, events, rate, target, bar))
    except KeyboardInterrupt:
        messages().print("Interrupted. The results before it are complete.", markup=False)
        raise typer.Exit(INTERRUPTED) from None
    if failed:
        raise typer.Exit(FAILED)


def _are_folders(inputs: list[str]) -> bool:
    kinds = {os.path.isdir(name) for name in inputs}  # noqa: PTH112 - False where pathlib raises
    if len(kinds) > 1:
        raise typer.BadParameter("folders and videos are not watched in one run; give one sort")
    return kinds == {True}


def _check_targets(inputs: list[str], output: Path | None, annotated: Path | None) -> None:
    """Check that what is written takes the place of no input, and is none that drops in."""
    for target, option in ((output, "--output"), (annotated, "--annotated")):
        keep_inputs(inputs, target, option)
    if annotated:
        if any(annotated.resolve().is_relative_to(Path(name).resolve()) for name in inputs):
            raise typer.BadParameter(
                f"{annotated} is in the folder that is watched; choose another folder",
                param_hint="--annotated",
            )
        writable_folder(annotated, "--annotated")


def _events(
    inputs: list[str],
    events: "Callable[[Iterator[Frame]], Iterator[Event]]",
    rate: float | None,
    target: _Target,
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
            for event in events(frames(name)):
                row = event.to_dict()
                if target.annotated:
                    stem = f"{stems.stem(name, 0)}-{event.frame:06d}-{_told(row)}"
                    picture = draw_image(event.image, [event.mark])
                    picture.save(target.annotated / f"{stem}.jpg", quality=92)
                if target.outbox:
                    target.outbox.put("event", row)
                with bar.hidden():
                    yield row
        except PlatemarkError as error:
            messages().print(f"error: {error.message}", style="red", markup=False)
            yield {"source": error.source or name, "error": error.to_dict()}


def _told(row: Row) -> str:
    """What an event is called in the name of its picture."""
    if row["kind"] == "plate":
        return str(row["text"])
    x0, y0, *_ = row["box"]
    return f"{row['color']}-{row['shape']}-{x0:.0f}-{y0:.0f}"


Done = tuple["Result", list["Picture"]]


def _folders(
    come: "Callable[[Callable[[Arrival], list[Done]]], Iterator[tuple[Arrival, list[Done]]]]",
    pipeline: "Pipeline[Any]",
    journal: "FolderJournal",
    target: _Target,
) -> int:
    """Do what drops into folders and return how many pages failed."""
    from platemark.imaging.image import Image
    from platemark.imaging.sources import page_reads

    pictures = Pictures(target.annotated, None)

    def process(arrival: "Arrival") -> list[Done]:
        pages = []
        for read in page_reads([arrival.path]):
            item = read()
            result = pipeline.result(item)
            pages.append((result, pictures.draw(item, result) if isinstance(item, Image) else []))
        return pages

    writer, failed = target.writer(), 0
    for arrival, pages in come(process):
        with journal.recording(arrival, target.output):
            for result, made in pages:
                pictures.write(result, made)
                writer.write(result)
                if target.outbox:
                    target.outbox.put("result", result.to_dict(), arrival.key(result.page))
        for result, _ in pages:
            if result.error is not None:
                failed += 1
                messages().print(f"error: {result.error.message}", style="red", markup=False)
    return failed
