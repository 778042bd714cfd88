"""Platemark's reader of stamps beside RapidOCR and Tesseract: the same strips, the same stamps.

    python benchmarks/read_stamps.py MANIFEST [--split dev] [--json FILE]

Where the places of characters are annotated (synthetic imprints), each line is unwrapped along them
to an upright strip, which every system gets. Where only texts are (real stamps), every system gets
the stamp: platemark with its layout, the others the crop. README.md beside this file says more.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from platemark.datasets import Manifest
from platemark.datasets.manifest import StampAnnotation
from platemark.evaluate.stamp_text import LineOutcome, LineScores, words_found
from platemark.imaging.image import Image
from platemark.metrics import Rate
from platemark.stamps.baselines import STRIP_HEIGHT
from platemark.stamps.reading import read_stamp
from platemark.tasks.scripts import fold, script_of, unfold
from platemark.tasks.segmenter import Segmenter
from platemark.tasks.stamp_reader import StampReader
from platemark.train.cuts import cut_strips

Pixels = NDArray[np.uint8]
ReadStrip = Callable[[Pixels], str]
ReadStamp = Callable[[Image, StampAnnotation], list[str]]
LANGUAGES = "rus+ukr+eng"


class NotInstalled(Exception):  # noqa: N818 - a finding to report, not an error
    """A system that is not on this machine; the message says how to install it."""


def platemark(model: str | None) -> tuple[str, ReadStrip, ReadStamp]:
    reader = StampReader.from_pretrained(model, threads=1)
    segmenter = Segmenter.from_pretrained(threads=1)

    def strip(pixels: Pixels) -> str:
        return unfold("".join(char.char for char in reader([pixels])[0]))

    def stamp(image: Image, truth: StampAnnotation) -> list[str]:
        (mask,) = segmenter(image, [truth.box])
        read = read_stamp(mask.cut(image.pixels), mask.probability, reader)
        return [line.text for line in read.lines if line.text]

    return f"platemark, {reader.name}", strip, stamp


def rapidocr(_model: str | None) -> tuple[str, ReadStrip, ReadStamp]:
    try:
        from rapidocr import RapidOCR
    except ImportError as error:
        raise NotInstalled(f"pip install rapidocr onnxruntime ({error})") from error
    limits = {"Global.log_level": "error", "EngineConfig.onnxruntime.intra_op_num_threads": 1}
    engine = RapidOCR(params=limits)

    def strip(pixels: Pixels) -> str:
        found = engine(cv2.merge([pixels] * 3), use_det=False, use_cls=False, use_rec=True)
        return " ".join(found.txts or ())

    def stamp(image: Image, truth: StampAnnotation) -> list[str]:
        crop = np.ascontiguousarray(cropped(image.pixels, truth)[:, :, ::-1])  # it takes BGR
        return list(engine(crop).txts or ())

    return f"RapidOCR {version('rapidocr')}", strip, stamp


def tesseract(_model: str | None) -> tuple[str, ReadStrip, ReadStamp]:
    program = shutil.which("tesseract")
    if program is None:
        raise NotInstalled("apt-get install tesseract-ocr tesseract-ocr-rus tesseract-ocr-ukr")
    environment = os.environ | {"OMP_THREAD_LIMIT": "1"}

    def run(pixels: Pixels, layout: str) -> str:
        scale = max(1.0, 64 / STRIP_HEIGHT)  # it asks for capitals of 20 pixels and more
        large = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        _, png = cv2.imencode(".png", large)
        command = [program, "stdin", "stdout", "--psm", layout, "-l", LANGUAGES]
        done = subprocess.run(
            command, input=png.tobytes(), capture_output=True, check=True, env=environment
        )
        return done.stdout.decode("utf-8")

    def stamp(image: Image, truth: StampAnnotation) -> list[str]:
        return run(cropped(image.pixels, truth)[:, :, ::-1], "11").splitlines()

    return "Tesseract", lambda pixels: run(pixels, "7").strip(), stamp


SYSTEMS: Mapping[str, Callable[[str | None], tuple[str, ReadStrip, ReadStamp]]] = {
    "platemark": platemark,
    "rapidocr": rapidocr,
    "tesseract": tesseract,
}


def cropped(pixels: Pixels, stamp: StampAnnotation) -> Pixels:
    x0, y0, x1, y1 = (round(value) for value in stamp.box)
    return pixels[max(y0, 0) : y1, max(x0, 0) : x1]


def strips(manifest: Manifest, count: int) -> list[tuple[Pixels, str, str]]:
    """Strips of the reader's height, with their texts and paths."""
    found: list[tuple[Pixels, str, str]] = []
    for entry in manifest:
        paths = {fold(line.text): line.path for stamp in entry.stamps for line in stamp.lines}
        for cut in cut_strips(manifest, entry):
            spare = (cut.pixels.shape[0] - STRIP_HEIGHT) // 2
            strip = np.ascontiguousarray(cut.pixels[spare : spare + STRIP_HEIGHT])
            found.append((strip, unfold(cut.text), paths[cut.text]))
        if len(found) >= count:
            break
    return found[:count]


def line_scores(read: ReadStrip, lines: Sequence[tuple[Pixels, str, str]]) -> dict[str, LineScores]:
    parts: dict[str, list[LineOutcome]] = {}
    for strip, text, path in lines:
        script = script_of(fold(text) or "")
        outcome = LineOutcome(text, read(strip), path, script)
        for part in ("all", path, script or "no script"):
            parts.setdefault(part, []).append(outcome)
    return {part: LineScores.of(outcomes) for part, outcomes in parts.items()}


def contained(read: ReadStamp, manifest: Manifest) -> dict[str, Rate]:
    """Words of real stamps that were read, of all and of round ones."""
    hits: dict[str, list[int]] = {}
    for entry in manifest:
        stamps = [stamp for stamp in entry.stamps if stamp.text and words_found(stamp.text, ()).n]
        if not stamps or (entry.model_extra or {}).get("origin", "real") != "real":
            continue
        image = Image.read(manifest.path(entry))
        for stamp in stamps:
            found = words_found(stamp.text or "", read(image, stamp))
            shape = "round" if stamp.shape in ("circle", "oval") else "not round"
            for part in ("all", shape):
                counts = hits.setdefault(part, [0, 0])
                counts[0] += found.hits
                counts[1] += found.n
    return {part: Rate(*counts) for part, counts in hits.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--split", choices=("train", "dev", "test"), default="dev")
    parser.add_argument("--system", choices=SYSTEMS, action="append", help="default: all of them")
    parser.add_argument("--model", help="platemark's reader; default: the bundled one")
    parser.add_argument("--lines", type=int, default=400, help="strips at most")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    options = parser.parse_args()
    manifest = Manifest.read(options.manifest, split=options.split)
    lines = strips(manifest, options.lines)
    console, report = Console(), []
    for name in options.system or SYSTEMS:
        try:
            title, read_strip, read_whole = SYSTEMS[name](options.model)
        except NotInstalled as absent:
            console.print(f"{name}: not installed; {absent}", markup=False)
            report.append({"system": name, "status": "not installed", "hint": str(absent)})
            continue
        scores = line_scores(read_strip, lines)
        words = {} if lines else contained(read_whole, manifest)
        for part, line in scores.items():
            console.print(f"{title}: {part}: {line.lines} lines, CER {line.error_rate:.3f}")
        for part, word in words.items():
            console.print(f"{title}: {part}: words {word.value:.3f} of {word.n} {word.interval}")
        report.append(
            {
                "system": name,
                "title": title,
                "status": "measured",
                "lines": {part: line.to_dict() for part, line in scores.items()},
                "words_contained": {part: word.to_dict() for part, word in words.items()},
            }
        )
    if options.json:
        run = {"manifest": options.manifest.name, "split": options.split, "systems": report}
        options.json.write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
