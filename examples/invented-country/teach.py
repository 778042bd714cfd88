"""Teaches the reader the plates of a country that is on no map, and says what it reads before and
after.

    python teach.py OUTPUT

OUTPUT gets ``photos`` (500 labelled crops, a tenth of them the dev split), ``unseen`` (300 more,
the test split) and ``model``. The crops are generated, from other seeds than the synthetic ones
that are mixed in: nobody has photos of Arcadia.
"""

import argparse
from pathlib import Path

from platemark.datasets.manifest import Manifest, write_manifest
from platemark.evaluate import evaluate_plates
from platemark.metrics import Rate
from platemark.plates.pipeline import PlatePipeline
from platemark.splits import Split
from platemark.synth.plates import generate
from platemark.train.recipe import read_recipe
from platemark.train.run import Machine, train

HERE = Path(__file__).parent
FORMAT = HERE / "xx-arcadia.toml"
DEV_EVERY = 10


def main() -> None:
    """Read the command line and teach."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--photos", type=int, default=500, help="labelled crops (default: 500)")
    parser.add_argument("--unseen", type=int, default=300, help="crops to test on (default: 300)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes")
    arguments = parser.parse_args()
    photos = label(arguments.output / "photos", arguments.photos, 1, ("train", "dev"))
    unseen = label(arguments.output / "unseen", arguments.unseen, 2, ("test", "test"))
    changes = [f"data.0.manifest={photos}", *arguments.changes]
    recipe = read_recipe(HERE / "recipe.toml", changes)
    model = arguments.output / "model"
    train(recipe, model, machine=Machine(threads=1), command="examples/invented-country/teach.py")
    for name, reader in (("before", None), ("after", model)):
        right = exact(unseen, PlatePipeline.from_pretrained(reader))
        low, high = right.interval
        print(f"{name}: {right.hits} of {right.n} read, {right.value:.3f} ({low:.3f}-{high:.3f})")


def label(folder: Path, count: int, seed: int, splits: tuple[Split, Split]) -> Path:
    """Make crops of Arcadian plates as if they were photos; every tenth is of the second split."""
    manifest = generate(folder, count, seed, kind="crops", formats=FORMAT)
    entries = [
        entry.model_copy(
            update={"source": "Arcadia", "split": splits[number % DEV_EVERY == DEV_EVERY - 1]}
        )
        for number, entry in enumerate(Manifest.read(manifest))
    ]
    write_manifest(manifest, entries)
    return manifest


def exact(manifest: Path, pipeline: PlatePipeline) -> Rate:
    """How many texts are read exactly, from the annotated corners."""
    return evaluate_plates(Manifest.read(manifest), pipeline).of_kind("crop").reader.exact


if __name__ == "__main__":
    main()
