"""``platemark stamps``: find stamps, segment their ink, describe and embed it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from platemark.apps.cli.common import (
    ABSENT,
    ModelOption,
    QuietOption,
    ThreadsOption,
    WorkersOption,
    check_file,
)
from platemark.apps.cli.find import (
    AnnotatedOption,
    FormatOption,
    InputsArgument,
    MinScoreOption,
    OutputOption,
    RegionOfInterestOption,
    Request,
    find,
    keep_inputs,
)
from platemark.apps.cli.output import stamp_layout
from platemark.usecases.export import ResultWriter, bears

if TYPE_CHECKING:
    from platemark.stamps.vectors import StampVectors
    from platemark.types import Result

KnownOption = Annotated[
    str | None,
    typer.Option(
        "--registry",
        metavar="URL",
        help="Name every stamp by the known stamps of this registry.",
    ),
]
ReadOption = Annotated[
    bool, typer.Option("--read", help="Read the text of each stamp, line by line.")
]


def stamps(
    inputs: InputsArgument,
    format: FormatOption = None,  # noqa: A002 - the option is called so
    output: OutputOption = None,
    annotated: AnnotatedOption = None,
    crops: Annotated[
        Path | None,
        typer.Option(
            help="Write the cut-out of each stamp, its paper transparent, to this folder."
        ),
    ] = None,
    min_score: MinScoreOption = None,
    region_of_interest: RegionOfInterestOption = None,
    model: ModelOption = None,
    threads: ThreadsOption = None,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
    embedding: Annotated[
        bool, typer.Option("--embedding", help="Put the vector of each stamp into JSON Lines.")
    ] = False,
    similarity: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the cosine similarities of all stamps as CSV, and beside it as a picture.",
        ),
    ] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the vectors of all stamps: .npz or .parquet."),
    ] = None,
    registry: KnownOption = None,
    read: ReadOption = False,
    present: Annotated[
        bool,
        typer.Option(
            "--present",
            help="Say whether each picture bears a stamp: with the --model of `learn` that one, "
            "with --registry a known one. Exit status 3 if an input bears none.",
        ),
    ] = False,
) -> None:
    """Find stamps and seals on documents: their ink, shape, colour, rotation and vector.

    Results go to standard output, progress and messages to standard error. Exit status: 0 all
    inputs done, 1 some failed (the others are done), 2 wrong usage, 3 with --present if an input
    does not bear the stamp.
    """
    request = Request(
        inputs,
        format,
        output,
        annotated,
        crops,
        min_score,
        model,
        threads,
        workers,
        quiet,
        registry,
        read=read,
        region=region_of_interest,
    )
    layout = stamp_layout(known=registry is not None or present, read=read)
    bearers = _Bearers()
    find(
        request,
        replace(layout, embedding=embedding, presence=present),
        [*_vector_files(inputs, similarity, embeddings), bearers],
    )
    if present and not bearers.all:
        raise typer.Exit(ABSENT)


class _Bearers:
    """Notes which inputs bear a wanted stamp, on any of their pages."""

    def __init__(self) -> None:
        self._bear: dict[str, bool] = {}

    @property
    def all(self) -> bool:
        """Whether each of them does."""
        return all(self._bear.values())

    def write(self, result: "Result") -> None:
        """Take one page."""
        self._bear[result.source] = self._bear.get(result.source, False) or bears(result)

    def close(self) -> None:
        """Nothing is held back."""


class _VectorFile:
    """Keeps the vectors of results, which are small, and writes them at the end of the run."""

    def __init__(self, path: Path, write: "Callable[[StampVectors, Path], None]") -> None:
        from platemark.stamps.vectors import StampVectors

        self._vectors, self._path, self._write = StampVectors(), path, write

    def write(self, result: "Result") -> None:
        """Take the stamps of one result."""
        self._vectors.add(result)

    def close(self) -> None:
        """Write the file."""
        self._write(self._vectors, self._path)


def _vector_files(
    inputs: list[str], similarity: Path | None, embeddings: Path | None
) -> list[ResultWriter]:
    """Check the files that vectors are to be written to, and make what writes them.

    Raises:
        typer.BadParameter: A file cannot be written, would overwrite an input, or is of no format
            that vectors have.
        MissingExtra: The format needs a library that is not installed.
    """
    from platemark.stamps.vectors import StampVectors, picture_beside, require_parquet

    files: list[ResultWriter] = []
    if similarity:
        for path in (similarity, picture_beside(similarity)):
            keep_inputs(inputs, path, "--similarity")
        check_file(similarity, "--similarity")
        files.append(_VectorFile(similarity, StampVectors.write_similarity))
    if embeddings:
        keep_inputs(inputs, embeddings, "--embeddings")
        check_file(embeddings, "--embeddings")
        if embeddings.suffix.lower() == ".npz":
            files.append(_VectorFile(embeddings, StampVectors.write_npz))
        elif embeddings.suffix.lower() == ".parquet":
            require_parquet()
            files.append(_VectorFile(embeddings, StampVectors.write_parquet))
        else:
            raise typer.BadParameter(
                f"{embeddings} is neither .npz nor .parquet", param_hint="--embeddings"
            )
    return files
