"""The command line: each command translates its options into one library call."""

import errno
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from platemark.apps.cli import (
    batch,
    bench,
    compare,
    dataset,
    evaluate,
    learn,
    models,
    plates,
    redact,
    registry,
    review,
    serve,
    stamps,
    synth,
    train,
    watch,
)
from platemark.apps.cli.common import report_error
from platemark.errors import PlatemarkError


class _Commands(TyperGroup):
    """Turns an error of ours, or of a full disk and the like, into a message and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PlatemarkError as error:
            raise typer.Exit(report_error(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read the output has enough
                raise
            reason = f"{error.strerror}: {error.filename}" if error.filename else str(error)
            raise typer.Exit(report_error(PlatemarkError(reason))) from error


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("plates")(plates.plates)
app.command("stamps")(stamps.stamps)
app.command("redact")(redact.redact)
app.command("batch")(batch.batch)
app.command("watch")(watch.watch)
app.add_typer(registry.app, name="registry")
app.command("compare")(compare.compare)
app.add_typer(synth.app, name="synth")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(dataset.app, name="dataset")
app.add_typer(models.app, name="models")
app.command("review")(review.review)
app.command("serve")(serve.serve)
app.command("train")(train.train)
app.command("learn")(learn.learn)
app.command("bench")(bench.bench)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"platemark {version('platemark')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Find and read licence plates in photos, find stamps and seals on documents."""


def main() -> None:
    """Run the command line; the entry point of the ``platemark`` command."""
    app()
