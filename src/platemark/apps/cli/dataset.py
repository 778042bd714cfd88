"""``platemark dataset``: annotated images in all formats."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from platemark.apps.cli.common import (
    FAILED,
    QuietOption,
    check_exists,
    messages,
    progress,
    report_error,
)
from platemark.types.base import Split

if TYPE_CHECKING:
    from platemark.datasets import Dataset

FormatName = Literal[
    "manifest",
    "via",
    "via1",
    "coco",
    "yolo",
    "yolo-obb",
    "yolo-pose",
    "voc",
    "labelstudio",
    "labelme",
    "cvat",
    "csv",
    "nomeroff",
]
SourceArgument = Annotated[
    Path,
    typer.Argument(metavar="DATASET", help="An annotation file, or a folder with one or many."),
]
FromOption = Annotated[
    FormatName | None, typer.Option("--from", help="Its format; default: told by the content.")
]
ImagesOption = Annotated[
    Path | None, typer.Option("--images", help="Folder of the images, if not by the annotations.")
]
KindOption = Annotated[
    Literal["plate", "stamp"], typer.Option("--kind", help="What marks without a label are.")
]
LabelOption = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="NAME=plate|stamp|ignore|skip",
        help="What marks of a label are, where its name does not say it; may be repeated.",
    ),
]
RegionsOption = Annotated[
    str | None,
    typer.Option(
        metavar="CODE,CODE...",
        help="Codes of the numbered regions of Nomeroff Net's crops, from 0.",
    ),
]

app = typer.Typer(no_args_is_help=True, help="Convert, split, check and show annotated images.")


@app.callback()
def _options() -> None:
    """Convert, split, check and show annotated images."""


@app.command("convert")
def convert(
    source: Annotated[
        Path,
        typer.Argument(metavar="SRC", help="An annotation file, or a folder with one or many."),
    ],
    target: Annotated[
        Path, typer.Argument(metavar="DST", help="A new folder, or the annotation file to write.")
    ],
    from_: FromOption = None,
    to: Annotated[
        FormatName | None,
        typer.Option("--to", help="Default: the manifest, or what the suffix of DST says."),
    ] = None,
    images: ImagesOption = None,
    transfer: Annotated[
        Literal["link", "copy", "leave"],
        typer.Option(
            help="What becomes of images that do not lie in DST: hard links (else copies), copies, "
            "or nothing."
        ),
    ] = "link",
    kind: KindOption = "plate",
    label: LabelOption = None,
    regions: RegionsOption = None,
    split: Annotated[
        Split, typer.Option(help="The split of images of which the annotations say none.")
    ] = "train",
    only: Annotated[Split | None, typer.Option(help="Write this split alone.")] = None,
    skip_errors: Annotated[
        bool,
        typer.Option(
            "--skip-errors", help="Leave out images with an error; exit status 1 if there are any."
        ),
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Read annotations of one format and write them in another, whole or not at all.

    Standard output names what was written. The first error stops it, unless --skip-errors.
    """
    dataset = _open(source, from_, images, kind, label, regions, split)
    from platemark.datasets import convert as convert_dataset

    with progress("convert", quiet=quiet) as tell:
        done = convert_dataset(
            dataset,
            target,
            to,
            transfer=transfer,
            only=only,
            skip_errors=skip_errors,
            progress=tell,
        )
    for error in done.errors:
        report_error(error)
    if not quiet:
        left_out = f", {len(done.errors)} left out" if done.errors else ""
        said = f"{done.images} images with {done.marks} marks{left_out}"
        messages().print(said, markup=False)
    typer.echo(done.target)
    if done.errors:
        raise typer.Exit(FAILED)


def _open(
    source: Path,
    format_name: FormatName | None,
    images: Path | None,
    kind: Literal["plate", "stamp"],
    label: list[str] | None,
    regions: str | None,
    split: Split = "train",
) -> "Dataset":
    check_exists(source, "DATASET")
    check_exists(images, "--images")
    from platemark.datasets import Dataset, Reading
    from platemark.datasets.outlines import as_role

    roles = {}
    for given in label or ():
        name, _, role = given.rpartition("=")
        try:
            roles[name] = as_role(role)
        except ValueError as error:
            raise typer.BadParameter(f"{given}: {error}", param_hint="--label") from None
    codes = tuple(regions.split(",")) if regions else ()
    return Dataset.open(source, format_name, Reading(kind, roles, split, images, codes))
