"""Platemark's reader beside RapidOCR and Tesseract: the same crops, the same run, one at a time.

    python benchmarks/read_crops.py MANIFEST [--split test] [--json FILE]

Every plate of the manifest with a text is cut out and turned upright by its corners (by its box
where it has none) and given to each system. README.md beside this file says what is counted.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from platemark import PlateReader
from platemark.datasets import Manifest
from platemark.imaging.image import Image
from platemark.imaging.warp import rectify
from platemark.metrics import Rate, exact_match
from platemark.types import Crop

Read = Callable[["Sample"], str]
ALL = "all"


class NotInstalled(Exception):  # noqa: N818 - a finding to report, not an error
    """A system that is not on this machine; the message says how to install it."""


@dataclass(frozen=True)
class Sample:
    """One plate: the crop every system gets, what it says, and how many rows it has if known."""

    crop: Crop
    truth: str
    group: str
    lines: int | None


@dataclass
class Tally:
    """What one system read of one group of plates; times in milliseconds per crop."""

    exact: list[bool] = field(default_factory=list)
    folded: list[bool] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def add(self, text: str, truth: str, elapsed_ms: float) -> None:
        self.exact.append(exact_match(text, truth))
        self.folded.append(exact_match(text, truth, fold=True))
        self.times.append(elapsed_ms)

    def to_dict(self) -> dict[str, object]:
        return {
            "exact": rate(self.exact).to_dict(),
            "folded": rate(self.folded).to_dict(),
            "ms_mean": float(np.mean(self.times)),
            "ms_median": float(np.median(self.times)),
        }


def rate(flags: Sequence[bool]) -> Rate:
    return Rate(sum(flags), len(flags))


def platemark_reader(threads: int) -> tuple[str, Read]:
    reader = PlateReader.from_pretrained(threads=threads)
    return f"platemark {version('platemark')}", lambda sample: reader([sample.crop])[0].text or ""


def rapidocr_reader(threads: int, *, detect: bool) -> tuple[str, Read]:
    try:
        from rapidocr import RapidOCR
    except ImportError as error:
        raise NotInstalled(f"pip install rapidocr onnxruntime ({error})") from error
    limits = {"Global.log_level": "error", "EngineConfig.onnxruntime.intra_op_num_threads": threads}
    engine = RapidOCR(params=limits)

    def read(sample: Sample) -> str:
        pixels = np.ascontiguousarray(sample.crop.pixels[:, :, ::-1])  # it takes BGR
        found = engine(pixels, use_det=detect, use_cls=False, use_rec=True)
        return "".join(found.txts or ())

    parts = "detection and recognition" if detect else "recognition"
    return f"RapidOCR {version('rapidocr')}, {parts}", read


def tesseract_reader(threads: int) -> tuple[str, Read]:
    program = shutil.which("tesseract")
    if program is None:
        raise NotInstalled("apt-get install tesseract-ocr")
    first_line = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=True
    ).stdout.partition("\n")[0]
    environment = os.environ | {"OMP_THREAD_LIMIT": str(threads)}
    letters = "tessedit_char_whitelist=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

    def read(sample: Sample) -> str:
        layout = "6" if (sample.lines or 1) > 1 else "7"  # a block of lines, or a single line
        _, png = cv2.imencode(".png", enlarged(sample.crop.pixels)[:, :, ::-1])
        command = [program, "stdin", "stdout", "--psm", layout, "-c", letters]
        done = subprocess.run(
            command, input=png.tobytes(), capture_output=True, check=True, env=environment
        )
        return done.stdout.decode("utf-8")

    return first_line, read


def enlarged(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At least 64 px high: Tesseract's documentation asks for capitals of 20 px and more."""
    scale = max(1.0, 64 / pixels.shape[0])
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC))


SYSTEMS: Mapping[str, Callable[[int], tuple[str, Read]]] = {
    "platemark": platemark_reader,
    "rapidocr-rec": lambda threads: rapidocr_reader(threads, detect=False),
    "rapidocr": lambda threads: rapidocr_reader(threads, detect=True),
    "tesseract": tesseract_reader,
}


def samples(manifest: Manifest, margin: float) -> list[Sample]:
    """Every plate with a text, cut out with `margin` of its size around it."""
    found = []
    for entry in manifest:
        readable = [plate for plate in entry.plates if plate.text]
        if not readable:
            continue
        pixels = Image.read(manifest.path(entry)).pixels
        for plate in readable:
            crop = rectify(pixels, plate.corners, margin=margin)
            found.append(Sample(crop, str(plate.text), entry.group, plate.lines))
    return found


def measure(read: Read, plates: Sequence[Sample]) -> dict[str, Tally]:
    """Read every plate; the first one once more beforehand, so that no start-up is timed."""
    tallies: dict[str, Tally] = {}
    read(plates[0])
    for plate in plates:
        start = time.perf_counter()
        text = read(plate)
        elapsed_ms = (time.perf_counter() - start) * 1000
        for group in (ALL, plate.group):
            tallies.setdefault(group, Tally()).add(text, plate.truth, elapsed_ms)
    return tallies


def show(title: str, tallies: Mapping[str, Tally], console: Console) -> None:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("plates of")
    for heading in ("n", "exact", "95% interval", "O=0, I=1", "95% interval", "ms mean", "median"):
        table.add_column(heading, justify="right")
    for group, tally in sorted(tallies.items(), key=lambda item: (item[0] != ALL, item[0])):
        cells = [cell for flags in (tally.exact, tally.folded) for cell in share(rate(flags))]
        times = [f"{np.mean(tally.times):.1f}", f"{np.median(tally.times):.1f}"]
        table.add_row(group, str(len(tally.exact)), *cells, *times)
    console.print(table, "")


def share(counted: Rate) -> tuple[str, str]:
    low, high = counted.interval
    return f"{counted.value:.3f}", f"{low:.3f}-{high:.3f}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("manifest", type=Path, help="JSON Lines, as `platemark evaluate` takes")
    parser.add_argument("--split", choices=("train", "dev", "test"), default="test")
    parser.add_argument("--system", choices=SYSTEMS, action="append", help="default: all of them")
    parser.add_argument("--group", action="append", help="only plates of this source (repeatable)")
    parser.add_argument(
        "--margin",
        type=float,
        help="around the plate, per side (default: that of platemark's reader)",
    )
    parser.add_argument("--threads", type=int, default=1, help="for each system alike")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    margin = PlateReader.from_pretrained().margin if options.margin is None else options.margin
    plates = samples(Manifest.read(options.manifest, split=options.split), margin)
    plates = [plate for plate in plates if not options.group or plate.group in options.group]
    if not plates:
        print(f"{options.manifest} has no plate with a text to read", file=sys.stderr)
        return 1
    console, report = Console(), []
    for name in options.system or SYSTEMS:
        try:
            title, read = SYSTEMS[name](options.threads)
        except NotInstalled as absent:
            console.print(f"{name}: not installed; {absent}", "", markup=False)
            report.append({"system": name, "status": "not installed", "hint": str(absent)})
            continue
        tallies = measure(read, plates)
        show(title, tallies, console)
        figures = {group: tally.to_dict() for group, tally in tallies.items()}
        report.append({"system": name, "status": "measured", "title": title, "groups": figures})
    if options.json:
        run = {
            "manifest": options.manifest.name,
            "split": options.split,
            "margin": margin,
            "threads": options.threads,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "systems": report,
        }
        options.json.write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
