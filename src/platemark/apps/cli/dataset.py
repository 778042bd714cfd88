"""``platemark dataset``: annotated images in all formats."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from platemark.apps.cli.common import (
    FAILED,
    QuietOption,
    TextFormat,
    check_exists,
    check_file,
    messages,
    progress,
    report_console,
    report_error,
    writable_folder,
)
from platemark.splits import Split

if TYPE_CHECKING:
    from platemark.datasets import Check, Dataset

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
TargetArgument = Annotated[
    Path, typer.Argument(metavar="DST", help="A new folder, or the annotation file to write.")
]
FromOption = Annotated[
    FormatName | None, typer.Option("--from", help="Its format; default: told by the content.")
]
ToOption = Annotated[
    FormatName | None,
    typer.Option("--to", help="Default: the manifest, or what the suffix of DST says."),
]
TransferOption = Annotated[
    Literal["link", "copy", "leave"],
    typer.Option(
        help="What becomes of images that do not lie in DST: hard links (else copies), copies, "
        "or nothing."
    ),
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
    target: TargetArgument,
    from_: FromOption = None,
    to: ToOption = None,
    images: ImagesOption = None,
    transfer: TransferOption = "link",
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


@app.command("split")
def split(
    source: SourceArgument,
    target: TargetArgument,
    train: Annotated[float, typer.Option(min=0, help="Share of the images to learn from.")] = 0.8,
    dev: Annotated[float, typer.Option(min=0, help="Share for every choice.")] = 0.1,
    test: Annotated[float, typer.Option(min=0, help="Share to report on.")] = 0.1,
    by: Annotated[
        str,
        typer.Option(
            metavar="REASON,REASON...",
            help="What keeps images together: source, document, identity (of stamps), text (of "
            "plates), image (near-duplicates).",
        ),
    ] = "source,document,identity,text,image",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same splits.")] = 0,
    from_: FromOption = None,
    to: ToOption = None,
    images: ImagesOption = None,
    transfer: TransferOption = "link",
    kind: KindOption = "plate",
    label: LabelOption = None,
    regions: RegionsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Split a data set into train, dev and test, and write it; images that hang together stay so.

    No plate, stamp, document or source is in two splits, and no image nearly the same.
    """
    dataset = _open(source, from_, images, kind, label, regions)
    from platemark.datasets import REASONS, convert, split_dataset

    reasons = tuple(reason for reason in REASONS if reason in by.split(","))
    if unknown := set(filter(None, by.split(","))) - set(REASONS):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: unknown", param_hint="--by")
    if train + dev + test <= 0:
        raise typer.BadParameter("no share is above 0", param_hint="--train, --dev, --test")
    shares: dict[Split, float] = {"train": train, "dev": dev, "test": test}
    with progress("split", quiet=quiet) as tell:
        done = split_dataset(dataset, shares=shares, by=reasons, seed=seed, progress=tell)
    written = convert(done.dataset, target, to, transfer=transfer)
    if not quiet:
        total = sum(done.images.values())
        parts = ", ".join(
            f"{name} {count} ({count / total:.0%})" for name, count in done.images.items()
        )
        links = ", ".join(f"{reason} {count}" for reason, count in done.links.items()) or "none"
        said = f"{parts}; {done.groups} groups, the largest of {done.largest}; joined by: {links}"
        messages().print(said, markup=False)
    typer.echo(written.target)


@app.command("check")
def check(
    source: SourceArgument,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a page with pictures, too.")
    ] = None,
    formats: Annotated[
        Path | None, typer.Option(help="Folder of plate formats of your own, whose regions count.")
    ] = None,
    duplicates: Annotated[
        bool,
        typer.Option("--duplicates/--no-duplicates", help="Decode all images to compare them."),
    ] = True,
    from_: FromOption = None,
    images: ImagesOption = None,
    kind: KindOption = "plate",
    label: LabelOption = None,
    regions: RegionsOption = None,
    format: Annotated[  # noqa: A002 - the option is called so
        TextFormat, typer.Option("--format", help="How the report is printed.")
    ] = TextFormat.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Check for problems: boxes, corners, texts, regions, images, balance, duplicates.

    Exit status 1 when there are errors; warnings are worth a check.
    """
    check_exists(formats, "--formats")
    if report is not None:
        check_file(report, "--report")
    dataset = _open(source, from_, images, kind, label, regions)
    from platemark.datasets import check_dataset, write_check
    from platemark.plates.formats import load_formats

    codes = {*load_formats(), *(load_formats(formats) if formats else ())}
    with progress("check", quiet=quiet) as tell:
        done = check_dataset(dataset, regions=codes, duplicates=duplicates, progress=tell)
    if report is not None:
        write_check(done, dataset, report)
    if format is TextFormat.JSON:
        typer.echo(json.dumps(done.to_dict(), ensure_ascii=False, indent=2))
    else:
        _print_check(done)
    if done.errors:
        raise typer.Exit(FAILED)


def _print_check(done: "Check") -> None:
    from platemark.datasets.check import PROBLEMS

    console = report_console()
    images = ", ".join(f"{split} {count}" for split, count in done.images.items())
    console.print(f"{done.source} ({done.format}): images: {images or 'none'}", markup=False)
    for name, values in done.marks.items():
        ordered = sorted(values.items(), key=lambda item: -item[1].total())
        told = ", ".join(f"{value} {count.total()}" for value, count in ordered[:12])
        more = f", and {len(ordered) - 12} more" if len(ordered) > 12 else ""
        console.print(f"marks by {name}: {told}{more}", markup=False)
    for name in done.problems:
        severity, title, advice = PROBLEMS[name]
        console.print(f"\n{severity}: {title} ({done.counts[name]}). {advice}", markup=False)
        for finding in done.findings[name][:5]:
            console.print(f"  {finding.message}", markup=False)
    console.print(f"\n{done.errors} errors, {done.warnings} warnings", markup=False)


@app.command("show")
def show(
    source: SourceArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the pages.")],
    marks: Annotated[
        bool, typer.Option("--marks", help="Show the marks, upright, in the place of the images.")
    ] = False,
    count: Annotated[
        int | None,
        typer.Option(min=1, help="Show this number of images, chosen at random; default: all."),
    ] = None,
    split: Annotated[Split | None, typer.Option(help="Show this split alone.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice.")] = 0,
    from_: FromOption = None,
    images: ImagesOption = None,
    kind: KindOption = "plate",
    label: LabelOption = None,
    regions: RegionsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Draw images with their marks and texts on contact sheets; a dot is at the first corner.

    Standard output names the pages. Exit status 1 when some image could not be shown.
    """
    dataset = _open(source, from_, images, kind, label, regions)
    folder = writable_folder(output, "--output")
    from platemark.datasets import show_dataset

    cells: Literal["images", "marks"] = "marks" if marks else "images"
    with progress("show", quiet=quiet) as tell:
        done = show_dataset(
            dataset, folder, cells=cells, count=count, split=split, seed=seed, progress=tell
        )
    for error in done.errors:
        report_error(error)
    if not quiet:
        messages().print(f"{done.shown} {cells} on {len(done.files)} pages", markup=False)
    for file in done.files:
        typer.echo(file)
    if done.errors:
        raise typer.Exit(FAILED)
