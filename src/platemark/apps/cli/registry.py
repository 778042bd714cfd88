"""``platemark registry``: known stamps kept, named, found again."""

from pathlib import Path
from typing import Annotated

import typer

from platemark.apps.cli.common import (
    ModelOption,
    QuietOption,
    RegistryOption,
    ThreadsOption,
    load_stamps,
    messages,
    open_registry,
    progress,
    report_console,
)
from platemark.apps.cli.registry_stamps import add, calibrate, identify
from platemark.apps.cli.rows import (
    RowFormat,
    RowFormatOption,
    RowLayout,
    chosen_format,
    one_line,
    print_rows,
)

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Keep known stamps, and say whose stamp it is.",
)
app.command("add")(add)
app.command("identify")(identify)
app.command("calibrate")(calibrate)

DesignArgument = Annotated[
    str, typer.Argument(metavar="NAME|ID", help="Name or id of a design.", show_default=False)
]


DESIGNS = RowLayout(
    ("name", "design", "samples", "owner", "tags", "changed", "retired"),
    one_line("name", "design", "samples", "owner", "tags", "changed", "retired"),
)
SAMPLES = RowLayout(
    ("sample", "source", "page", "model", "created", "text"),
    one_line("sample", "source", "page", "model", "created", "text"),
)


@app.command("list")
def list_designs(
    registry: RegistryOption,
    words: Annotated[
        str, typer.Argument(metavar="[WORDS]", help="The same as --text.", show_default=False)
    ] = "",
    text: Annotated[
        str,
        typer.Option(
            metavar="WORDS",
            help="Only designs with all of these in name, owner, notes, tags or the text of the "
            "stamp; accents, case and homoglyphs make no difference.",
        ),
    ] = "",
    retired: Annotated[
        bool | None, typer.Option("--retired/--active", help="Only retired designs, or others.")
    ] = None,
    format: RowFormatOption = None,  # noqa: A002 - the option is called so
) -> None:
    """List the designs of a registry, by name."""
    with open_registry(registry) as known:
        designs = known.designs(f"{words} {text}", retired=retired)
        print_rows((design.to_dict() for design in designs), DESIGNS, format)


@app.command("show")
def show(
    registry: RegistryOption,
    design: DesignArgument,
    pictures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the samples to this folder, as PNG.")
    ] = None,
    format: RowFormatOption = None,  # noqa: A002 - the option is called so
) -> None:
    """Show what is known about a design, and its samples."""
    import PIL.Image

    with open_registry(registry) as known:
        found = known.design(design)
        samples = known.samples(found.id)
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            for sample in samples:
                crop = known.picture(sample.id)
                PIL.Image.fromarray(crop.pixels).save(pictures / f"{sample.id}.png")
    row = found.to_dict() | {"samples": [sample.to_dict() for sample in samples]}
    if chosen_format(format) is RowFormat.JSONL:
        print_rows([row], DESIGNS, RowFormat.JSONL)
        return
    console = report_console()
    for key in ("name", "design", "owner", "tags", "notes", "created", "changed", "retired"):
        value = row[key]
        shown = ", ".join(value) if isinstance(value, list) else value or ""
        console.print(f"{key:8} {shown}", markup=False)
    print_rows((sample.to_dict() for sample in samples), SAMPLES, RowFormat.TABLE)


@app.command("remove")
def remove(
    registry: RegistryOption,
    designs: Annotated[
        list[str] | None, typer.Argument(metavar="NAME|ID...", show_default=False)
    ] = None,
    sample: Annotated[
        list[str] | None, typer.Option(help="Remove this sample alone; repeat it.")
    ] = None,
) -> None:
    """Remove designs with all their samples, or single samples."""
    if not designs and not sample:
        raise typer.BadParameter("name a design, or give --sample")
    with open_registry(registry) as known:
        for one in sample or ():
            left = known.remove_sample(one)
            _say(f"removed sample {one} of {left.name!r}, which has {left.samples} left")
        for ref in designs or ():
            _say(f"removed {known.remove(ref).name!r}")


@app.command("rename")
def rename(registry: RegistryOption, design: DesignArgument, name: str) -> None:
    """Give a design another name."""
    with open_registry(registry) as known:
        _say(f"renamed to {known.rename(design, name).name!r}")


@app.command("edit")
def edit(
    registry: RegistryOption,
    design: DesignArgument,
    notes: Annotated[str | None, typer.Option(help="Free text.")] = None,
    owner: Annotated[str | None, typer.Option(help="Whose stamp it is.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="Its tags, in place of those it has; repeat it.")
    ] = None,
) -> None:
    """Change notes, owner or tags of a design."""
    with open_registry(registry) as known:
        changed = known.update(design, notes=notes, owner=owner, tags=tag)
        _say(f"changed {changed.name!r}")


@app.command("merge")
def merge(
    registry: RegistryOption,
    into: DesignArgument,
    others: Annotated[list[str], typer.Argument(metavar="NAME|ID...", show_default=False)],
) -> None:
    """Make designs one: the first gets the samples of the others, which are gone then."""
    with open_registry(registry) as known:
        merged = known.merge(into, *others)
        _say(f"{merged.name!r} has {merged.samples} samples now")


@app.command("split")
def split(
    registry: RegistryOption,
    design: DesignArgument,
    name: Annotated[str, typer.Argument(help="Name of the new design.", show_default=False)],
    sample: Annotated[list[str], typer.Option(help="A sample that leaves; repeat it.")],
) -> None:
    """Make a design of some samples of another."""
    with open_registry(registry) as known:
        split = known.split(design, sample, name)
        _say(f"{split.name!r} ({split.id}) has {split.samples} samples")


@app.command("retire")
def retire(
    registry: RegistryOption,
    design: DesignArgument,
    undo: Annotated[bool, typer.Option("--undo", help="Search for it again.")] = False,
) -> None:
    """Keep a design, but no longer search for it."""
    with open_registry(registry) as known:
        changed = known.reinstate(design) if undo else known.retire(design)
        _say(f"{changed.name!r} is {'retired' if changed.retired else 'searched for'}")


@app.command("reindex")
def reindex(
    registry: RegistryOption,
    read: Annotated[
        bool, typer.Option("--read", help="Also read the text of all samples again.")
    ] = False,
    model: ModelOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Recompute the vectors of all samples, with the model of this version or another one."""
    from platemark.usecases.enrol import read_samples
    from platemark.usecases.enrol import reindex as recompute

    with open_registry(registry) as known:
        pipeline = load_stamps(model, threads=threads, read=read)
        with progress("samples", quiet=quiet) as tell:
            count = recompute(known, pipeline, tell)
        _say(f"{count} vectors are of {pipeline.embedder.name} now")
        if pipeline.reader is not None:
            with progress("samples", quiet=quiet) as tell:
                legible = read_samples(known, pipeline.reader, tell)
            _say(f"{legible} of {count} samples have a text now")


@app.command("export")
def export(
    registry: RegistryOption,
    file: Annotated[Path, typer.Argument(help="The archive to write, a .zip.", show_default=False)],
) -> None:
    """Write designs, samples and pictures to one archive, which any registry can import."""
    with open_registry(registry) as known:
        _say(f"{known.export(file)} designs are in {file}")


@app.command("import")
def import_archive(
    registry: RegistryOption,
    file: Annotated[Path, typer.Argument(help="An archive of export.", show_default=False)],
) -> None:
    """Add all that is in an archive, or nothing."""
    with open_registry(registry, create=True) as known:
        _say(f"{known.load(file)} designs of {file} are in the registry")


def _say(text: str) -> None:
    messages().print(text, markup=False)
