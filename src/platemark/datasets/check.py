"""What is wrong with a data set, before a training finds out."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from platemark.datasets.convert import Dataset
from platemark.datasets.fingerprint import Hash, near_duplicates
from platemark.datasets.manifest import ManifestEntry, PlateAnnotation, StampAnnotation
from platemark.datasets.split import image_hash, marks_of
from platemark.errors import DatasetError, MissingImage, PlatemarkError
from platemark.geometry import iou_matrix, order_corners
from platemark.imaging.image import image_size
from platemark.splits import Split

Severity = Literal["error", "warning"]

PROBLEMS: Mapping[str, tuple[Severity, str, str]] = {
    "unreadable_entry": (
        "error",
        "Entries that cannot be read",
        "Correct them as the message says.",
    ),
    "no_area": ("error", "Boxes without area", "Draw them again, or remove them."),
    "missing_image": (
        "error",
        "Images that are not there",
        "Correct the path, or remove the entry.",
    ),
    "unreadable_image": ("error", "Images that cannot be read", "Save them again."),
    "wrong_size": (
        "error",
        "Images of another size than stated",
        "State the size of the upright image; check whether it was scaled after annotation.",
    ),
    "listed_twice": ("error", "Images listed twice", "Join the entries."),
    "box_outside": ("error", "Boxes outside their image", "Cut them at the border."),
    "corners_outside": (
        "warning",
        "Corners outside their image",
        "Fine for marks that the border cuts; otherwise draw them again.",
    ),
    "corners_off_box": ("warning", "Corners outside their box", "Draw the box around the corners."),
    "corner_order": (
        "error",
        "Corners that are not four, clockwise around a convex outline",
        "List them clockwise from the mark's own top-left.",
    ),
    "corner_start": (
        "warning",
        "Plates whose corners begin elsewhere than at the upper left",
        "Right for plates that stand on their head or on end; otherwise they are read wrongly.",
    ),
    "marked_twice": ("warning", "Marks annotated twice", "Remove one of them."),
    "empty_text": ("error", "Empty texts", "Use null for a text that is not known."),
    "text_form": (
        "warning",
        "Plate texts with lower case, spaces or separators",
        "Write what the plate shows, upper case, without spaces and separators.",
    ),
    "unknown_region": (
        "warning",
        "Regions without a plate format",
        "Correct the code, or add a format; see CONTRIBUTING.md.",
    ),
    "no_marks": ("error", "No marks at all", "Check the labels and how they were converted."),
    "one_class": ("warning", "One class only", "A model can distinguish nothing: add others."),
    "rare_class": (
        "warning",
        "Classes a hundred times rarer than the most frequent",
        "Add examples, generated ones if need be, or leave them out.",
    ),
    "mark_across_splits": (
        "warning",
        "The same plate or stamp in several splits",
        "Split again with platemark dataset split.",
    ),
    "duplicate_across_splits": (
        "error",
        "Near-duplicate images in several splits",
        "Split again with platemark dataset split: what was learned must not be tested.",
    ),
    "duplicate": ("warning", "Near-duplicate images", "Keep one of each."),
}
"""The problems: how bad one is, what it is called, what to do."""
EXAMPLES = 100
"""Findings of a problem that are kept; all are counted."""

_TOLERANCE = 1.0
"""Pixels that marks may reach over the border, as tools round."""
_SAME, _RARE, _UNKNOWN = 0.9, 100, "xx-unknown"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        problem: Of `PROBLEMS`.
        message: What is wrong, and where.
        images: The images it is about, by their paths in the data set; those that could be read.
        entry: What is said of the image, where it is one.
    """

    problem: str
    message: str
    images: tuple[str, ...] = ()
    entry: ManifestEntry | None = None


@dataclass
class Check:
    """What a data set has and what is wrong with it.

    Attributes:
        source: The data set.
        format: Its format.
        images: Number of images by split.
        marks: Number of marks by what is told of them (``kind``, ``region`` ...), value and split.
        counts: Number of findings by problem.
        findings: The first of each problem.
    """

    source: Path
    format: str
    images: Counter[Split] = field(default_factory=Counter)
    marks: dict[str, dict[str, Counter[Split]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter))
    )
    counts: Counter[str] = field(default_factory=Counter)
    findings: dict[str, list[Finding]] = field(default_factory=lambda: defaultdict(list))

    @property
    def errors(self) -> int:
        """Number of findings that are errors."""
        return sum(n for problem, n in self.counts.items() if PROBLEMS[problem][0] == "error")

    @property
    def warnings(self) -> int:
        """Number of findings that are warnings."""
        return self.counts.total() - self.errors

    @property
    def problems(self) -> list[str]:
        """What was found, errors first."""
        return [name for name in PROBLEMS if self.counts[name] and PROBLEMS[name][0] == "error"] + [
            name for name in PROBLEMS if self.counts[name] and PROBLEMS[name][0] == "warning"
        ]

    def add(self, problem: str, message: str, images: tuple[str, ...] = ()) -> None:
        """Note something wrong."""
        self._note(Finding(problem, message, images))

    def add_of(self, problem: str, message: str, entry: ManifestEntry) -> None:
        """Note something wrong with an image or a mark in it."""
        self._note(Finding(problem, f"{entry.image}: {message}", (entry.image,), entry))

    def _note(self, finding: Finding) -> None:
        self.counts[finding.problem] += 1
        if self.counts[finding.problem] <= EXAMPLES:
            self.findings[finding.problem].append(finding)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON; of each problem the first findings."""
        return {
            "source": str(self.source),
            "format": self.format,
            "images": dict(self.images),
            "marks": {
                name: {value: dict(count) for value, count in values.items()}
                for name, values in self.marks.items()
            },
            "errors": self.errors,
            "warnings": self.warnings,
            "problems": [
                {
                    "problem": name,
                    "severity": PROBLEMS[name][0],
                    "count": self.counts[name],
                    "findings": [finding.message for finding in self.findings[name]],
                }
                for name in self.problems
            ],
        }


def check_dataset(
    dataset: Dataset,
    *,
    regions: Collection[str] | None = None,
    duplicates: bool = True,
    progress: Callable[[int], None] = lambda done: None,
) -> Check:
    """Check a data set for problems.

    Args:
        dataset: Annotated images.
        regions: Codes of the plate formats there are; None checks no region.
        duplicates: Decode the images to find near-duplicates.
        progress: Called with the number of images checked.

    Raises:
        DatasetError: A file of annotations cannot be read at all.
    """
    check = Check(dataset.source, dataset.format)
    known = None if regions is None else _with_groups(regions)
    lines: dict[str, None] = {}
    seen_in: dict[tuple[str, str], set[Split]] = defaultdict(set)
    hashed: list[tuple[str, Split]] = []
    hashes: list[Hash] = []
    for entry in dataset:
        if isinstance(entry, DatasetError):
            check.add(_problem_of(entry), entry.message)
            continue
        check.images[entry.split] += 1
        if entry.image in lines:
            check.add_of("listed_twice", "is listed before", entry)
        lines[entry.image] = None
        for problem, message in _faults(entry, known):
            check.add_of(problem, message, entry)
        _count(check, entry)
        for key in marks_of(entry):
            seen_in[key].add(entry.split)
        if _readable(check, dataset, entry) and duplicates:
            try:
                hashes.append(image_hash(dataset, entry))
                hashed.append((entry.image, entry.split))
            except DatasetError as error:
                check.add("unreadable_image", error.message)
        progress(check.images.total())
    for first, second in near_duplicates(hashes):
        (image, split), (other, other_split) = hashed[first], hashed[second]
        if image != other:
            problem = "duplicate" if split == other_split else "duplicate_across_splits"
            check.add(problem, f"{image} ({split}) and {other} ({other_split})", (image, other))
    for (what, value), splits in seen_in.items():
        if len(splits) > 1:
            check.add("mark_across_splits", f"{what} {value} is in {', '.join(sorted(splits))}")
    _judge_balance(check)
    return check


def _problem_of(error: DatasetError) -> str:
    if isinstance(error, MissingImage):
        return "missing_image"
    parts = (error.key or "").split(".")
    if "quad" in parts:
        return "corner_order"
    return "no_area" if parts[-1] == "box" else "unreadable_entry"


def _with_groups(regions: Collection[str]) -> set[str]:
    """Codes, and what they begin with: ``eu-ua`` is known where ``eu-ua-2015`` is."""
    parts = (code.split("-") for code in (*regions, _UNKNOWN))
    return {"-".join(words[:count]) for words in parts for count in range(1, len(words) + 1)}


def _is_known(code: str, known: Collection[str]) -> bool:
    """Whether a code, or what it is a part of, is known: ``us-va`` where ``us`` is."""
    words = code.split("-")
    least = 2 if words[0] in ("eu", "xx") else 1
    return any("-".join(words[:count]) in known for count in range(len(words), least - 1, -1)) or (
        code in known
    )


def _faults(entry: ManifestEntry, regions: Collection[str] | None) -> Iterator[tuple[str, str]]:
    marks: list[PlateAnnotation | StampAnnotation] = [*entry.plates, *entry.stamps]
    limits = np.array([-_TOLERANCE, -_TOLERANCE, entry.width, entry.height])
    limits[2:] += _TOLERANCE
    for mark in marks:
        box = np.array(mark.box)
        told = [round(value, 1) for value in mark.box]
        if (box[:2] < limits[:2]).any() or (box[2:] > limits[2:]).any():
            yield "box_outside", f"box {told} in an image of {entry.width}x{entry.height}"
        if mark.quad is not None:
            corners = mark.corners
            if (corners < limits[:2]).any() or (corners > limits[2:]).any():
                yield "corners_outside", f"corners of box {told}"
            reach = 2 * _TOLERANCE + 0.05 * float((box[2:] - box[:2]).max())
            if (corners < box[:2] - reach).any() or (corners > box[2:] + reach).any():
                yield "corners_off_box", f"corners of box {told}"
            if isinstance(mark, PlateAnnotation) and not np.array_equal(
                order_corners(corners), corners
            ):
                yield "corner_start", f"plate {mark.text or told}"
        if mark.text is not None and not mark.text.strip():
            yield "empty_text", f"box {told}"
    for plate in entry.plates:
        text = plate.text or ""
        if text.strip() and (text != text.upper() or not text.isalnum()):
            yield "text_form", f"{text!r}"
        if regions is not None and plate.region and not _is_known(plate.region, regions):
            yield "unknown_region", f"{plate.region!r}"
    overlaps = np.triu(iou_matrix([m.box for m in marks], [m.box for m in marks]), 1)
    for first, second in np.argwhere(overlaps > _SAME).tolist():
        yield "marked_twice", f"marks {first + 1} and {second + 1}"


def _readable(check: Check, dataset: Dataset, entry: ManifestEntry) -> bool:
    path = dataset.path(entry)
    if not path.is_file():
        check.add_of("missing_image", "is not there", entry)
        return False
    try:
        size = image_size(path)
    except PlatemarkError as error:
        check.add_of("unreadable_image", error.message, entry)
        return False
    if size != (entry.width, entry.height):
        stated = f"{entry.width}x{entry.height}"
        check.add_of("wrong_size", f"has {size[0]}x{size[1]} pixels, stated are {stated}", entry)
    return True


def _count(check: Check, entry: ManifestEntry) -> None:
    for kind, marks in (("plate", entry.plates), ("stamp", entry.stamps)):
        for mark in marks:
            stated = {"kind": kind, **{name: getattr(mark, name, None) for name in _TOLD[kind]}}
            for name, value in stated.items():
                if value is not None:
                    check.marks[name][str(value)][entry.split] += 1


_TOLD = {
    "plate": ("region", "lines", "obscured"),
    "stamp": ("shape", "color", "identity"),
}


def _judge_balance(check: Check) -> None:
    if not check.marks["kind"]:
        check.add("no_marks", "none of the images has a plate or a stamp")
    for name in ("region", "identity"):
        values = {value: count.total() for value, count in check.marks.get(name, {}).items()}
        if len(values) == 1 and sum(values.values()) > 1:
            check.add("one_class", f"every {name} is {next(iter(values))}")
        most = max(values.values(), default=0)
        for value, count in values.items() if name == "region" else ():
            if count * _RARE <= most:
                check.add("rare_class", f"{name} {value}: {count}, the most frequent {most}")
