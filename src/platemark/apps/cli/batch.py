"""``platemark batch``: very many inputs, in processes, to be gone on with after a kill."""

from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from platemark.apps.cli.common import (
    FAILED,
    INTERRUPTED,
    ModelOption,
    QuietOption,
    load_pipeline,
    messages,
    progress,
    writable_folder,
)
from platemark.apps.cli.find import MinScoreOption
from platemark.apps.cli.stamps import KnownOption, ReadOption
from platemark.apps.cli.webhook import SecretOption, WebhookOption, sending

if TYPE_CHECKING:
    from platemark.apps.batch import Tally


class Engine(StrEnum):
    """What does the work."""

    LOCAL = "local"
    RAY = "ray"


class Kind(StrEnum):
    """The marks to detect."""

    PLATES = "plates"
    STAMPS = "stamps"


class Format(StrEnum):
    """What the files of results are."""

    JSONL = "jsonl"
    PARQUET = "parquet"


def batch(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Images, PDFs, folders, globs, @list.txt, tar files, addresses (s3://...).",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the results, OUT/part-*.jsonl.")
    ],
    kind: Annotated[Kind, typer.Option(help="The marks to detect.")] = Kind.PLATES,
    engine: Annotated[
        Engine,
        typer.Option(
            help="What does the work: processes of this machine, or a Ray cluster (RAY_ADDRESS)."
        ),
    ] = Engine.LOCAL,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes, one page each; default: all cores, with Ray those of the cluster.",
        ),
    ] = None,
    format: Annotated[  # noqa: A002 - the option is called so
        Format, typer.Option("--format", help="What the files of results are.")
    ] = Format.JSONL,
    min_score: MinScoreOption = None,
    model: ModelOption = None,
    registry: KnownOption = None,
    read: ReadOption = False,
    embedding: Annotated[
        bool, typer.Option("--embedding", help="Write the vector of each stamp.")
    ] = False,
    webhook: WebhookOption = None,
    webhook_secret: SecretOption = None,
    quiet: QuietOption = False,
) -> None:
    """Find the marks of very many inputs; the same command goes on where it was broken off.

    Exit status: 0 all inputs done, 1 some failed in this run (each is named on standard error and
    in the results, the others are done), 2 wrong usage.
    """
    from contextlib import ExitStack
    from dataclasses import replace
    from functools import partial

    from platemark.apps.batch import run_local
    from platemark.apps.batch_ray import run_on_ray
    from platemark.parallel import usable_cores
    from platemark.stamps.vectors import require_parquet
    from platemark.usecases.batch import Batch, PartFormat
    from platemark.usecases.export import LAYOUTS

    if kind is Kind.PLATES and (registry or read or embedding):
        raise typer.BadParameter("--registry, --read and --embedding are for --kind stamps")
    if format is Format.PARQUET:
        require_parquet()
    settings = {
        "version": version("platemark"),
        "kind": str(kind),
        "min_score": min_score,
        "model": model,
        "registry": registry,
        "read": read,
        "embedding": embedding,
    }
    with ExitStack() as stack:
        pipeline = load_pipeline(
            stack,
            kind.removesuffix("s"),
            model,
            min_score=min_score,
            registry=registry,
            read=read,
        )
        todo = Batch.open(
            writable_folder(output, "--output"),
            inputs,
            settings,
            format=PartFormat(format),
            layout=replace(LAYOUTS[kind.removesuffix("s")], embedding=embedding),
        )
        start = perf_counter()
        bar = stack.enter_context(progress(str(kind), quiet=quiet, rate=True))
        bar.expect(todo.count)
        try:
            run = (
                partial(run_on_ray, workers=workers)
                if engine is Engine.RAY
                else partial(run_local, workers=workers or usable_cores())
            )
            tally = run(
                todo,
                pipeline,
                outbox=stack.enter_context(sending(webhook, webhook_secret, todo.outbox)),
                progress=lambda tally: bar(tally.inputs, todo.count),
                report=lambda error: messages().print(f"error: {error}", style="red", markup=False),
            )
        except KeyboardInterrupt:
            messages().print("Interrupted; the same command goes on.", markup=False)
            raise typer.Exit(INTERRUPTED) from None
    if not quiet:
        _tell(tally, perf_counter() - start, output)
    if tally.failed:
        raise typer.Exit(FAILED)


def _tell(tally: "Tally", seconds: float, output: Path) -> None:
    messages().print(
        f"{tally.inputs} inputs are done; {tally.pages} pages of them now, in {seconds:.0f} s "
        f"({tally.pages / seconds:.1f} a second), {tally.failed} of which failed. "
        f"The results are in {output}.",
        markup=False,
    )
