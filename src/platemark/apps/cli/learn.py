"""``platemark learn``: from one picture of a stamp, label or logo to a model that finds it."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from platemark.apps.cli.common import (
    INTERRUPTED,
    QuietOption,
    TextFormat,
    ThreadsOption,
    check_exists,
    load_stamps,
    messages,
    parse_box,
    progress,
    report_console,
    writable_folder,
)

if TYPE_CHECKING:
    from platemark.metrics.rates import Rate
    from platemark.train.learn import Learned

# Share of the marks below which a model is of little use.
_LITTLE = 0.5


def learn(
    pictures: Annotated[
        list[Path],
        typer.Argument(
            metavar="STAMP_IMAGE...",
            help="A picture of each mark, named by its file; two of one name are one mark.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the model.")],
    backgrounds: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Pictures without the mark, such as those it will be searched for in; by default "
            "pages and surfaces are generated.",
        ),
    ] = None,
    minutes: Annotated[
        float,
        typer.Option(
            min=0,
            help="Fine-tune a detector for so long; 0 for none, which needs no PyTorch. Choice and "
            "report come on top.",
        ),
    ] = 10.0,
    box: Annotated[
        str | None, typer.Option(metavar="X0,Y0,X1,Y1", help="The mark is there in its picture.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is random.")] = 0,
    composites: Annotated[
        int,
        typer.Option(
            min=8, help="Generated pictures that the report is on, and as many to choose."
        ),
    ] = 80,
    format: Annotated[  # noqa: A002 - the option is called so
        TextFormat, typer.Option("--format", help="How the report is printed.")
    ] = TextFormat.TABLE,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Teach a model to find one stamp, label or logo from a single picture of it.

    The folder is a model for `platemark stamps --model`, for Python and for the server. Ctrl-C ends
    the fine-tuning and keeps what was learned.
    """
    from platemark.train.learn import Lengths
    from platemark.train.learn import learn as run
    from platemark.usecases.reference import read_reference

    given = parse_box(box)
    if given is not None and len(pictures) > 1:
        raise typer.BadParameter("it is for one picture; cut the marks out of the others first")
    check_exists(backgrounds, "--backgrounds")
    pipeline = load_stamps(None, threads=threads)
    references = [read_reference(pipeline, picture, given) for picture in pictures]
    folder = writable_folder(output, "--output")
    words = ["platemark", "learn", *map(str, pictures), "--minutes", f"{minutes:g}"]
    chosen = {"--backgrounds": backgrounds, "--box": box}
    words += [str(word) for key, v in chosen.items() if v is not None for word in (key, v)]
    words += ["--seed", str(seed), "--composites", str(composites), "--output", str(output)]
    try:
        with progress("learning", quiet=quiet) as bar:
            learned = run(
                references,
                folder,
                backgrounds=backgrounds,
                lengths=Lengths(minutes, composites, composites),
                seed=seed,
                threads=threads,
                command=shlex.join(words),
                report=_ignore if quiet else _report,
                progress=bar.stage,
            )
    except KeyboardInterrupt:
        messages().print(
            f"Interrupted: {folder} is a model, but its thresholds are not chosen yet", markup=False
        )
        raise typer.Exit(INTERRUPTED) from None
    if format is TextFormat.JSON:
        typer.echo(learned.to_json())
    else:
        _print(learned, folder)


def _report(line: str) -> None:
    messages().print(line, markup=False)


def _ignore(line: str) -> None:
    """Discard a message."""


def _print(learned: "Learned", folder: Path) -> None:
    console = report_console()
    console.print(f"{learned.card.name} is in {folder}", markup=False)
    tried = len(learned.card.training["average_precision"]) > 1
    detector = "fine-tuned" if learned.fine_tuned else "bundled"
    console.print(f"detector:     {detector}{', the better of two' if tried else ''}")
    console.print(f"found:        {_rate(learned.recall)} of the marks")
    console.print(f"false alarms: {_rate(learned.false_alarms)} of the pictures")
    if learned.recall.value < _LITTLE:
        console.print("Little was found: give more --minutes, and --backgrounds of your own.")


def _rate(rate: "Rate") -> str:
    low, high = rate.interval
    return f"{rate.value:.1%} ({low:.1%} to {high:.1%}, n={rate.n})"
