"""``platemark plates``: find and read licence plates."""

from pathlib import Path
from typing import Annotated

import typer

from platemark.apps.cli.common import ModelOption, QuietOption, ThreadsOption
from platemark.apps.cli.find import (
    AnnotatedOption,
    FormatOption,
    InputsArgument,
    MinScoreOption,
    OutputOption,
    Request,
    find,
)
from platemark.apps.cli.output import PLATES


def plates(
    inputs: InputsArgument,
    format: FormatOption = None,  # noqa: A002 - the option is called so
    output: OutputOption = None,
    annotated: AnnotatedOption = None,
    crops: Annotated[
        Path | None, typer.Option(help="Write each plate, rectified, to this folder.")
    ] = None,
    min_score: MinScoreOption = None,
    model: ModelOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Find and read licence plates in images.

    Results go to standard output, progress and messages to standard error. Exit status: 0 all
    inputs done, 1 some failed (the others are done), 2 wrong usage.
    """
    find(
        Request(inputs, format, output, annotated, crops, min_score, model, threads, quiet), PLATES
    )
