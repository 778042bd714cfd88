"""``platemark synth``: make annotated training images."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from platemark.apps.cli.common import QuietOption, check_exists, messages, progress, writable_folder

app = typer.Typer(no_args_is_help=True)

OutputOption = Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")]
CountOption = Annotated[int, typer.Option("--count", min=1, help="How many images.")]
SeedOption = Annotated[
    int, typer.Option("--seed", min=0, help="The same seed gives the same images.")
]
FontsOption = Annotated[Path | None, typer.Option("--fonts", help="Folder of more fonts.")]
BackgroundsOption = Annotated[
    Path | None,
    typer.Option("--backgrounds", help="Folder of pictures that show no marks of this kind."),
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Processes; default: one for each core.")
]


@app.callback()
def _options() -> None:
    """Make annotated training images."""


@app.command("plates")
def plates(
    output: OutputOption,
    count: CountOption,
    seed: SeedOption = 0,
    kind: Annotated[
        Literal["scenes", "crops"],
        typer.Option(help="Photos with plates, for the detector, or plates close up."),
    ] = "scenes",
    fonts: FontsOption = None,
    backgrounds: BackgroundsOption = None,
    over: Annotated[
        Path | None,
        typer.Option(
            metavar="MANIFEST",
            help="Annotated photos: new plates are painted over those of the train split.",
        ),
    ] = None,
    formats: Annotated[
        Path | None,
        typer.Option(
            "--formats",
            "--format",
            metavar="FILE|DIR",
            help="Only plates of this plate format of your own, or of those in a folder; with "
            "--region, beside the packaged ones.",
        ),
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="Only plates of this format; may be repeated."),
    ] = None,
    lines: Annotated[
        int | None, typer.Option(min=1, max=3, help="Only plates of this number of lines.")
    ] = None,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
) -> None:
    """Draw plates from the plate formats and photograph them with a simulated camera.

    Writes the images and annotations.jsonl; standard output names that file.
    """
    for path, option in ((fonts, "--fonts"), (backgrounds, "--backgrounds"), (over, "--over")):
        check_exists(path, option)
    folder = writable_folder(output, "--output")
    from platemark.synth.plates import generate, plate_formats

    try:
        plate_formats(region or (), lines, formats)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--region, --lines") from None
    make = partial(
        generate,
        folder,
        count,
        seed,
        kind=kind,
        fonts=fonts,
        backgrounds=backgrounds,
        over=over,
        formats=formats,
        regions=region or (),
        lines=lines,
        workers=workers,
    )
    _report(make, count, folder, quiet=quiet)


@app.command("stamps")
def stamps(
    output: OutputOption,
    count: CountOption,
    seed: SeedOption = 0,
    kind: Annotated[
        Literal["scenes", "pasted", "imprints", "artworks"],
        typer.Option(
            help="Pages with stamps, for detector and verifier; --backgrounds with the stamps of "
            "--real pasted onto them, for the same; stamps close up, for segmenter and embedder; "
            "or the clean designs, white for ink."
        ),
    ] = "scenes",
    fonts: FontsOption = None,
    backgrounds: BackgroundsOption = None,
    imprints_per_design: Annotated[
        int, typer.Option(metavar="K", min=1, help="Number of imprints in a row of one design.")
    ] = 5,
    near_copies: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            min=0.0,
            max=1.0,
            help="Share of the designs that differ from an earlier one in a detail alone; it and "
            "its copies have one family. For imprints and artworks.",
        ),
    ] = 0.0,
    sides: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LEAST MOST",
            help="Long sides of imprints in pixels; default: 80 to 480.",
        ),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SHAPE",
            help="Only stamps of this outline: circle, oval, rectangle, triangle or other; may be "
            "repeated.",
        ),
    ] = None,
    real: Annotated[
        Path | None,
        typer.Option(
            metavar="MANIFEST",
            help="Annotated scans: the stamps of their train split are segmented and pasted.",
        ),
    ] = None,
    masks: Annotated[
        bool, typer.Option("--masks/--no-masks", help="Whether to write the ink masks.")
    ] = True,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
) -> None:
    """Draw stamps, press them on documents and scan, fax or photograph these.

    Writes the images, the ink masks and annotations.jsonl; standard output names that file.
    """
    for path, option in ((fonts, "--fonts"), (backgrounds, "--backgrounds"), (real, "--real")):
        check_exists(path, option)
    if kind == "pasted" and (real is None or backgrounds is None):
        raise typer.BadParameter("pasted takes --real and --backgrounds", param_hint="--kind")
    if sides is not None and not 32 <= sides[0] <= sides[1]:
        raise typer.BadParameter(
            "expected at least 32 pixels, the least first", param_hint="--sides"
        )
    folder = writable_folder(output, "--output")
    from platemark.synth.stamps import generate, stamp_shapes
    from platemark.synth.stamps.studio import IMPRINT_SIDES

    try:
        shapes = stamp_shapes(shape or ())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--shape") from None
    make = partial(
        generate,
        folder,
        count,
        seed,
        kind=kind,
        fonts=fonts,
        backgrounds=backgrounds,
        imprints_per_design=imprints_per_design,
        near_copies=near_copies,
        sides=sides or IMPRINT_SIDES,
        shapes=shapes,
        masks=masks,
        real=real,
        workers=workers,
    )
    _report(make, count, folder, quiet=quiet)


def _report(
    make: Callable[..., Path],
    count: int,
    folder: Path,
    *,
    quiet: bool,
) -> None:
    """Make the images under a progress bar and name their manifest on standard output."""
    with progress("synth", quiet=quiet) as tell:
        manifest = make(progress=tell)
    if not quiet:
        messages().print(f"{count} images in {folder}", markup=False)
    typer.echo(manifest)
