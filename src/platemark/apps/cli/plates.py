"""``platemark plates``: find and read licence plates."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from platemark.apps.cli.common import SEEN, ModelOption, QuietOption, ThreadsOption, WorkersOption
from platemark.apps.cli.find import (
    AnnotatedOption,
    FormatOption,
    InputsArgument,
    MinScoreOption,
    OutputOption,
    RegionOfInterestOption,
    Request,
    find,
)
from platemark.apps.cli.output import PLATES
from platemark.apps.cli.together import TogetherWriter
from platemark.errors import InputError

if TYPE_CHECKING:
    from platemark.pipeline import Pipeline
    from platemark.types import Result

RegionsOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Plates to expect, comma-separated: formats (eu-ua-2015), families (eu-ua), "
        "countries (pl).",
    ),
]


def plates(
    inputs: InputsArgument,
    format: FormatOption = None,  # noqa: A002 - the option is called so
    output: OutputOption = None,
    annotated: AnnotatedOption = None,
    crops: Annotated[
        Path | None, typer.Option(help="Write each plate, rectified, to this folder.")
    ] = None,
    min_score: MinScoreOption = None,
    region_of_interest: RegionOfInterestOption = None,
    model: ModelOption = None,
    threads: ThreadsOption = None,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
    cropped: Annotated[bool, typer.Option("--cropped", help="Each picture is one plate.")] = False,
    expect: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="Say whether a plate shows this: match, mismatch, unsure."
        ),
    ] = None,
    together: Annotated[
        bool,
        typer.Option(
            "--together", help="The pictures show one car: give one reading of all for each plate."
        ),
    ] = False,
    alternatives: Annotated[int, typer.Option(min=0, help="Most alternatives of each plate.")] = 4,
    watch_list: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Say which plates show a text of this list: one a line, at will with a comma and "
            "a note. Exit status 3 if one does.",
        ),
    ] = None,
    regions: RegionsOption = None,
    ban_regions: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Plates not to expect, in the same way.")
    ] = None,
    default_region: Annotated[
        str | None, typer.Option(metavar="NAME", help="Region to give where the text tells none.")
    ] = None,
    prewarp: Annotated[
        str | None,
        typer.Option(
            metavar="CORNERS",
            help="Straighten pictures of a fixed camera first: 'x,y x,y x,y x,y' of a rectangle "
            "in the plane of the plates; also ratio=WIDTH/HEIGHT, and lens=K1,K2.",
        ),
    ] = None,
) -> None:
    """Find and read licence plates in images.

    Results go to standard output, progress and messages to standard error. Exit status: 0 all
    inputs done, 1 some failed (the others are done), 2 wrong usage.
    """

    def adapt(pipeline: "Pipeline[Any]") -> "Pipeline[Any]":
        from platemark.plates.pipeline import PlatePipeline
        from platemark.plates.watchlist import WatchList

        assert isinstance(pipeline, PlatePipeline)
        if cropped:
            pipeline = pipeline.cropped()
        try:
            if expect is not None:
                pipeline = pipeline.expecting(expect)
            if prewarp is not None:
                pipeline = pipeline.with_prewarp(prewarp)
            pipeline = pipeline.with_alternatives(alternatives)
            if watch_list is not None:
                pipeline = pipeline.watching(WatchList.read(watch_list))
            return pipeline.with_regions(
                names(regions), banned=names(ban_regions) or (), default=default_region
            )
        except (ValueError, InputError) as error:
            raise typer.BadParameter(str(error)) from error

    request = Request(
        inputs, format, output, annotated, crops, min_score, model, threads, workers, quiet
    )
    writer = TogetherWriter if together else None
    request = replace(request, adapt=adapt, region=region_of_interest, writer=writer)
    watched = _Watched()
    find(request, replace(PLATES, expectation=expect is not None), [watched])
    if watched.seen:
        raise typer.Exit(SEEN)


class _Watched:
    """Takes note of plates of the watch list."""

    def __init__(self) -> None:
        self.seen = False

    def write(self, result: "Result") -> None:
        """Check the plates of one result."""
        self.seen |= any(getattr(mark, "watch", None) for mark in result.marks)

    def close(self) -> None:
        """Nothing is held back."""


def names(listed: str | None) -> list[str] | None:
    """The names in a comma-separated list; None for none."""
    return None if listed is None else [name for name in listed.split(",") if name.strip()]
