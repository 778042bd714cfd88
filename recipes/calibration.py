"""Measures the thresholds of acceptance that come with the package, for the bundled stamp models.

    python recipes/calibration.py data/stamps/annotations.jsonl runs/calibration/annotations.jsonl

Of the real and synthetic imprints of known identity, test split excepted, every second family of
designs is unknown; of the others the first imprint is in a registry. `Registry.calibrate` asks it
about the unknown ones. The figures go to src/platemark/registry/calibrations.json.
"""

import argparse
import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2

import platemark.registry
from platemark.datasets import Manifest
from platemark.evaluate import Imprint
from platemark.geometry import box_to_quad
from platemark.imaging.image import Image
from platemark.registry import Registry
from platemark.registry.calibration import CALIBRATIONS, bundled_calibrations
from platemark.stamps.pipeline import StampPipeline
from platemark.types import Detection, StampMark, as_quad


def main() -> None:
    """Read the command line, fill a registry, measure, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("manifests", type=Path, nargs="+", metavar="MANIFEST")
    parser.add_argument("--without", nargs="*", default=[], help="identities to be left out")
    parser.add_argument("--strangers", type=int, default=4, help="imprints of each unknown family")
    parser.add_argument("--families", type=int, help="most families of each manifest")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    pipeline = StampPipeline.from_pretrained(threads=1)
    families: list[list[Imprint]] = []
    for path in options.manifests:
        found = families_of(Manifest.read(path), set(options.without))
        families += found[: options.families]
    with (
        tempfile.TemporaryDirectory() as folder,
        Registry.open(Path(folder) / "known.db") as registry,
    ):
        for number, imprints in enumerate(families[::2]):
            for mark in marks(pipeline, imprints[:1]):
                if mark.embedding is not None:
                    registry.add(f"design {number}", mark, duplicates="allow")
        unknown = (one for imprints in families[1::2] for one in imprints[: options.strangers])
        measured, alike = registry.calibrate(marks(pipeline, unknown), pipeline.segmenter.name)
    known = [one for one in bundled_calibrations() if one.models != measured.models]
    path = Path(platemark.registry.__file__).with_name(CALIBRATIONS)
    entries = [one.to_dict() for one in (*known, measured)]
    path.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    print(measured, *alike, sep="\n")


def families_of(manifest: Manifest, without: set[str]) -> list[list[Imprint]]:
    """The imprints of every family of near-copies; a design without copies is one by itself."""
    found: dict[str, list[Imprint]] = {}
    for entry in manifest:
        if entry.split == "test" or entry.kind == "isolated":
            continue
        for stamp in entry.stamps:
            imprint = Imprint.of(manifest.path(entry), entry, stamp)
            if imprint is None or imprint.identity in without or imprint.origin == "composite":
                continue
            found.setdefault(imprint.family or imprint.identity, []).append(imprint)
    return list(found.values())


def marks(pipeline: StampPipeline, imprints: Iterable[Imprint]) -> Iterator[StampMark]:
    """The imprints as the pipeline sees them in their annotated boxes."""
    for one in imprints:
        quad = as_quad(box_to_quad(one.box))
        yield from pipeline.describe(Image.read(one.path), [Detection("stamp", 1.0, one.box, quad)])


if __name__ == "__main__":
    main()
