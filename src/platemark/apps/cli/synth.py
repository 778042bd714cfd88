"""``platemark synth``: make annotated training images."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from platemark.apps.cli.common import QuietOption, check_exists, messages, progress, writable_folder

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _options() -> None:
    """Make annotated training images."""


@app.command("plates")
def plates(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")],
    count: Annotated[int, typer.Option(min=1, help="How many images.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same images.")] = 0,
    kind: Annotated[
        Literal["scenes", "crops"],
        typer.Option(help="Photos with plates, for the detector, or plates close up."),
    ] = "scenes",
    fonts: Annotated[
        Path | None,
        typer.Option(help="Folder of more fonts."),
    ] = None,
    backgrounds: Annotated[
        Path | None,
        typer.Option(help="Folder of photos without plates."),
    ] = None,
    over: Annotated[
        Path | None,
        typer.Option(
            metavar="MANIFEST",
            help="Annotated photos: new plates are painted over those of the train split.",
        ),
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="Only plates of this format; may be repeated."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; default: one for each core.")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Draw plates from the plate formats and photograph them with a simulated camera.

    Writes the images and annotations.jsonl; standard output names that file.
    """
    for path, option in ((fonts, "--fonts"), (backgrounds, "--backgrounds"), (over, "--over")):
        check_exists(path, option)
    folder = writable_folder(output, "--output")
    from platemark.synth.plates import generate

    with progress("synth", quiet=quiet) as tell:
        try:
            manifest = generate(
                folder,
                count,
                seed,
                kind=kind,
                fonts=fonts,
                backgrounds=backgrounds,
                over=over,
                regions=region or (),
                workers=workers,
                progress=tell,
            )
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--region") from None
    if not quiet:
        messages().print(f"{count} images in {folder}", markup=False)
    typer.echo(manifest)
