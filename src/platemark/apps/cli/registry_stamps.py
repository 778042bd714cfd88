"""``platemark registry add`` and ``identify``: stamps of pictures go in, and are asked about."""

import math
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from platemark.apps.cli.common import (
    FAILED,
    ModelOption,
    QuietOption,
    RegistryOption,
    ThreadsOption,
    check_exists,
    load_stamps,
    messages,
    open_registry,
    parse_box,
    progress,
)
from platemark.apps.cli.find import MinScoreOption
from platemark.apps.cli.rows import Row, RowFormatOption, RowLayout, print_rows

if TYPE_CHECKING:
    from platemark.registry import Registry
    from platemark.registry.calibration import Calibration
    from platemark.registry.records import Lookalike
    from platemark.stamps.pipeline import StampPipeline
    from platemark.types import Box
    from platemark.usecases.enrol import Enrolled, Entry


class DuplicatePolicy(StrEnum):
    """What to do with a stamp that seems to be that of another design."""

    WARN = "warn"
    REFUSE = "refuse"
    ALLOW = "allow"


def _added_lines(row: Row) -> Iterator[list[object]]:
    state = "new design" if row["new_design"] else "new sample" if row["new_sample"] else "known"
    yield [row["source"], row["name"], state, ", ".join(one["name"] for one in row["alike"])]


def _identified_lines(row: Row) -> Iterator[list[object]]:
    source = f"{row['source']} page {row['page']}" if row["page"] else row["source"]
    if not row["marks"]:
        yield [source, "", "no stamp", "", "", ""]
    for number, mark in enumerate(row["marks"]):
        for candidate in mark["candidates"] or [None]:
            name, scores, accepted = "no design", ["", ""], ""
            if candidate is not None:
                name = candidate["name"]
                scores = [f"{candidate[key]:.3f}" for key in ("similarity", "score")]
                accepted = "yes" if candidate["accepted"] else "no"
            yield [source, number, name, *scores, accepted]
            source = ""


def _calibrated_lines(row: Row) -> Iterator[list[object]]:
    score = "not known" if row["score"] is None else f"{row['score']:.4f}"
    yield [f"{row['false_accepts']:g}", score, row["needs"]]


ADDED = RowLayout(("source", "name", "", "may also be"), _added_lines)
IDENTIFIED = RowLayout(
    ("source", "stamp", "design", "similarity", "score", "accepted"), _identified_lines
)

CALIBRATED = RowLayout(("false accepts", "score", "unknown stamps it takes"), _calibrated_lines)

SEEMS_SAME = 0.5
"""From this score on a sample may be of the other design."""


def add(
    registry: RegistryOption,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME IMAGE...",
            help="Name of the design, and pictures that show its stamp. With --document: a name "
            "for each stamp.",
            show_default=False,
        ),
    ] = None,
    tree: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Add DIR/NAME/*.png, one design for each folder."),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="Add what a table names: source, name, and if need be page, x0, y0, x1, y1.",
        ),
    ] = None,
    document: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Add the stamps of a document, named in reading order; '' passes one over.",
        ),
    ] = None,
    box: Annotated[
        str | None, typer.Option(metavar="X0,Y0,X1,Y1", help="The stamp is there; detect none.")
    ] = None,
    page: Annotated[int | None, typer.Option(min=0, help="Only this page, counted from 0.")] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="The pictures are crops of stamps; detect none.")
    ] = False,
    read: Annotated[
        bool, typer.Option("--read", help="Read the stamps, so that they are found by their text.")
    ] = False,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Different stamps of a document may be samples of one NAME."),
    ] = False,
    tag: Annotated[list[str] | None, typer.Option(help="Tag of new designs; repeat it.")] = None,
    owner: Annotated[str, typer.Option(help="Whose stamps new designs are.")] = "",
    notes: Annotated[str, typer.Option(help="Free text for new designs.")] = "",
    duplicates: Annotated[
        DuplicatePolicy,
        typer.Option(help="What to do with a stamp that seems to be that of another design."),
    ] = DuplicatePolicy.WARN,
    format: RowFormatOption = None,  # noqa: A002 - the option is called so
    min_score: MinScoreOption = None,
    model: ModelOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Add stamps to a registry, which is made if it does not exist."""
    from platemark.usecases.enrol import Entry, Terms, enrol, from_csv, from_tree

    words = names or []
    sources = {"--tree": tree, "--csv": table, "--document": document}
    given = [option for option, path in sources.items() if path is not None]
    if len(given) + bool(words and document is None) != 1:
        raise typer.BadParameter("give NAME and IMAGEs, or one of --tree, --csv and --document")
    for option, path in sources.items():
        check_exists(path, option)
    plan: list[Entry | Enrolled] = []
    if tree is not None:
        plan += from_tree(tree)
    elif table is not None:
        plan += from_csv(table)
    elif document is not None:
        plan.append(Entry(tuple(words), str(document), page))
    else:
        plan += _named_images(words, parse_box(box), page, whole)
    terms = Terms(tuple(tag or ()), owner, notes, duplicates.value, everything)
    with open_registry(registry, create=True, model=model) as known:
        pipeline = _pipeline(known, model, threads, min_score, read=read)
        with progress("stamps", quiet=quiet) as tell:
            done = enrol(known, pipeline, plan, terms)
            failed = print_rows(_told(done, tell, quiet), ADDED, format)
    if failed:
        raise typer.Exit(FAILED)


def _named_images(
    words: list[str], box: "Box | None", page: int | None, whole: bool
) -> "list[Entry | Enrolled]":
    from platemark.usecases.enrol import Entry
    from platemark.usecases.pages import Where

    name, *images = words
    if not images:
        raise typer.BadParameter(f"name the pictures that show the stamp {name!r}")
    return [Entry(name, image, page, Where(box, whole)) for image in images]


def _told(
    done: "Iterable[Enrolled]", tell: Callable[[int, int | None], None], quiet: bool
) -> Iterator[Row]:
    """Rows of what was added; errors and warnings go to standard error as well."""
    for number, one in enumerate(done, start=1):
        tell(number, None)
        if not quiet:
            for warning in one.warnings:
                messages().print(f"warning: {warning}", style="yellow", markup=False)
        place = {"source": one.source, "page": one.page}
        for added in one.added:
            yield place | {
                "name": added.design.name,
                "design": added.design.id,
                "sample": added.sample.id,
                "new_design": added.new_design,
                "new_sample": added.new_sample,
                "alike": [candidate.to_dict() for candidate in added.alike],
            }
        errors = [(stamp.name, stamp.error) for stamp in one.stamps]
        for name, error in [*errors, (one.name, one.error)]:
            if error is not None:
                messages().print(f"error: {error.message}", style="red", markup=False)
                yield place | {"name": name, "error": error.to_dict()}


def identify(
    registry: RegistryOption,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", show_default=False)],
    top_k: Annotated[int, typer.Option(min=1, help="Number of designs for each stamp.")] = 5,
    false_accepts: Annotated[
        float | None,
        typer.Option(
            help="Share of unknown stamps that may be taken for known ones; default: 0.001.",
            show_default=False,
        ),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="The pictures are crops of stamps; detect none.")
    ] = False,
    format: RowFormatOption = None,  # noqa: A002 - the option is called so
    min_score: MinScoreOption = None,
    model: ModelOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Say of each stamp in the images which designs it may be of, highest score first."""
    from platemark.registry.calibration import FALSE_ACCEPTS
    from platemark.stamps.pipeline import whole_picture

    if false_accepts is not None and not 0.0 < false_accepts < 1.0:
        raise typer.BadParameter("it is between 0 and 1", param_hint="--false-accepts")
    with open_registry(registry, model=model) as known:
        stamps = _pipeline(known, model, threads, min_score)
        if false_accepts is not None and not quiet:
            _tell_if_unmeasured(known, stamps, false_accepts)
        if whole:
            stamps = stamps.with_parts(detector=whole_picture, verifier=None)
        with progress("images", quiet=quiet) as tell:
            rows = _identified(known, stamps, images, top_k, false_accepts or FALSE_ACCEPTS, tell)
            failed = print_rows(rows, IDENTIFIED, format)
    if failed:
        raise typer.Exit(FAILED)


def _tell_if_unmeasured(known: "Registry", pipeline: "StampPipeline", share: float) -> None:
    """Say that a share of false accepts was asked for that the thresholds were not measured for."""
    calibration = known.calibration(getattr(pipeline.segmenter, "name", ""))
    if not calibration.measures(share, len(known)):
        messages().print(
            f"the thresholds rest on {calibration.strangers} unknown stamps, too few to know the "
            f"one for a share of {share:g}; the strictest one is used. To measure: platemark "
            "registry calibrate",
            style="yellow",
            markup=False,
        )


def calibrate(
    registry: RegistryOption,
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[IMAGE...]",
            help="Pictures of stamps that the registry does not know.",
            show_default=False,
        ),
    ] = None,
    format: RowFormatOption = None,  # noqa: A002 - the option is called so
    model: ModelOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Measure from which score on a candidate is accepted, and keep it with the registry.

    Every sample is asked about as if its design was not known, and so is every stamp in the images.
    """
    from platemark.registry.calibration import SHARES
    from platemark.types import StampMark

    failed: list[str] = []
    with open_registry(registry, model=model) as known:
        stamps = _pipeline(known, model, threads, None)

        def strangers() -> Iterator[StampMark]:
            for result in stamps.stream(images or []):
                if result.error is not None:
                    failed.append(result.source)
                    messages().print(f"error: {result.error.message}", style="red", markup=False)
                yield from (mark for mark in result.marks if isinstance(mark, StampMark))

        with progress("samples", quiet=quiet) as tell:
            measured, alike = known.calibrate(
                strangers(), getattr(stamps.segmenter, "name", ""), progress=tell
            )
        least = dict(measured.thresholds)
        rows: list[Row] = [
            {"false_accepts": share, "score": least.get(share), "needs": math.ceil(1.0 / share)}
            for share in SHARES
        ]
        if not quiet:
            _tell_measured(known, measured, alike)
    print_rows(rows, CALIBRATED, format)
    if failed:
        raise typer.Exit(FAILED)


def _tell_measured(
    known: "Registry", measured: "Calibration", alike: Iterable["Lookalike"]
) -> None:
    """Say what the thresholds were measured with, and which samples may be of another design."""
    models = ", ".join(measured.models.values())
    say = partial(messages().print, markup=False)
    say(f"{measured.strangers} unknown stamps against {measured.designs} designs; {models}")
    for one in alike:
        if one.score >= SEEMS_SAME and one.other:
            names = [known.design(ref).name for ref in (one.design, one.other)]
            say(f"{names[0]} resembles {names[1]} (score {one.score:.3f}): if it is, merge them")


def _identified(
    known: "Registry",
    pipeline: "StampPipeline",
    images: list[str],
    top_k: int,
    false_accepts: float,
    tell: Callable[[int, int | None], None],
) -> Iterator[Row]:
    """The JSON object of each page, in which each mark has its candidates and its identity."""
    from platemark.usecases.identify import identified

    for number, result in enumerate(pipeline.stream(images), start=1):
        if result.error is not None:
            messages().print(f"error: {result.error.message}", style="red", markup=False)
        yield identified(known, result, top_k, false_accepts=false_accepts)
        tell(number, None)


def _pipeline(
    known: "Registry",
    model: str | None,
    threads: int | None,
    min_score: float | None,
    *,
    read: bool = False,
) -> "StampPipeline":
    """The pipeline, whose vectors fit the registry."""
    pipeline = load_stamps(model, threads=threads, min_score=min_score, read=read)
    known.check_model(pipeline.embedder.name)
    return pipeline
