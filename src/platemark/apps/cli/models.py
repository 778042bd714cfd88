"""``platemark models``: which models there are, what their cards say, whether they are whole."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from platemark.apps.cli.common import (
    FAILED,
    TextFormat,
    check_exists,
    on_terminal,
    report_console,
    report_error,
)
from platemark.errors import ModelError, ModelNotFound

if TYPE_CHECKING:
    from platemark.models.card import ModelCard
    from platemark.models.store import LocalModel

app = typer.Typer(no_args_is_help=True, help="List, show, verify and publish models.")

FormatOption = Annotated[
    TextFormat | None,
    typer.Option("--format", help="Default: table on a terminal, json when piped."),
]


@app.command("list")
def list_(format: FormatOption = None) -> None:  # noqa: A002 - the option is called so
    """List the models that come with the package."""
    from platemark.models.store import list_models

    models = list_models()
    if _usual(format) is TextFormat.JSON:
        typer.echo(json.dumps([_summary(model) for model in models], indent=2))
        return
    table = Table(*_SUMMARY, box=None, pad_edge=False, header_style="bold")
    for model in models:
        table.add_row(*(str(value) for value in _summary(model).values()))
    report_console().print(table)


@app.command("show")
def show(
    name: Annotated[
        str,
        typer.Argument(
            help="A bundled model, a model folder, an .onnx, or a repository hf:USER/NAME."
        ),
    ],
    format: FormatOption = None,  # noqa: A002 - the option is called so
) -> None:
    """Print the card of a model: how it was made, what was measured, what its limits are."""
    from platemark.models.store import locate_model

    card = locate_model(name).card
    if _usual(format) is TextFormat.JSON:
        typer.echo(card.model_dump_json(indent=2, exclude_none=True))
    else:
        _print_card(card)


@app.command("verify")
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Default: all bundled models.")
    ] = None,
) -> None:
    """Compare the files of models with the sizes and digests in their cards.

    Exit status 1 when some model is not whole; each is named.
    """
    from platemark.models.store import bundled_names, locate_model

    wanted = names or bundled_names()
    if not wanted:
        raise ModelNotFound("this installation has no bundled models; install it again")
    failed = False
    for name in wanted:
        try:
            model = locate_model(name)
            model.verify()
        except ModelError as error:
            report_error(error)
            failed = True
        else:
            typer.echo(f"{name}: {len(model.card.files)} files as its card says")
    if failed:
        raise typer.Exit(FAILED)


@app.command("push")
def push(
    folder: Annotated[
        Path,
        typer.Argument(help="A model folder, or a folder of such folders."),
    ],
    repository: Annotated[
        str,
        typer.Argument(metavar="hf:USER/NAME", help="On the Hugging Face Hub; made if missing."),
    ],
    private: Annotated[
        bool, typer.Option("--private", help="A repository that is made is private.")
    ] = False,
) -> None:
    """Publish a model in a repository of the Hugging Face Hub, from which --model loads it.

    Only cards and the files that they name are sent, after a comparison with the digests. Standard
    output names the commit. Needs the extra hub and `hf auth login`.
    """
    from platemark.models.hub import push_model

    check_exists(folder, "DIR")
    typer.echo(push_model(folder, repository, private=private))


_SUMMARY = ("name", "version", "kind", "task", "bytes", "licence", "folder")


def _summary(model: "LocalModel") -> dict[str, object]:
    card = model.card
    size = sum(entry.bytes for entry in card.files.values())
    values = (card.name, card.version, card.kind, card.task, size, card.licence, str(model.folder))
    return dict(zip(_SUMMARY, values, strict=True))


def _print_card(card: "ModelCard") -> None:
    console = report_console()
    console.print(f"[bold]{card.name}[/bold] {card.version}, {card.kind} {card.task}")
    console.print(f"licence: {card.licence}", markup=False)
    data = card.model_dump(mode="json", exclude_none=True)
    for section in ("preprocess", "decode", "thresholds", "calibration", "training"):
        for key, value in data[section].items():
            console.print(f"{section}.{key}: {value}", markup=False)
    for limit in card.limits:
        console.print(f"limit: {limit}", markup=False)
    table = Table("figure", "data set", "split", box=None, pad_edge=False, header_style="bold")
    for heading in ("n", "value", "95% interval"):
        table.add_column(heading, justify="right")
    for figure in card.metrics:
        interval = "-".join(f"{end:.3f}" for end in figure.interval or ())
        place = (figure.name, figure.dataset, figure.split)
        table.add_row(*place, str(figure.n), f"{figure.value:.4g}", interval)
    console.print(table)
    for command in dict.fromkeys(figure.command for figure in card.metrics):
        console.print(f"measured with: {command}", markup=False)


def _usual(format: TextFormat | None) -> TextFormat:  # noqa: A002 - as the option
    return format or (TextFormat.TABLE if on_terminal() else TextFormat.JSON)
