"""Pictures to try the web app on: they come with the package."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image

from platemark.apps.services import Kind
from platemark.apps.web.pictures import data_url
from platemark.imaging.image import Image

# In an installed package they lie beside this file, in a checkout where all examples are.
_PLACES = (Path(__file__).parent / "examples", Path(__file__).parents[4] / "examples")
# What a button says, the picture, and the part of it (x0, y0, x1, y1) that the button shows.
_WHOLE = (0.0, 0.0, 1.0, 1.0)
_NAMES = {
    "plate": (
        ("Hatchback", "photos/golf-front.jpg", _WHOLE),
        ("Two cars", "photos/two-cars-germany.jpg", (0.0, 0.45, 1.0, 1.0)),
        ("Tilted", "photos/hatchback-rear-tilted.jpg", _WHOLE),
        ("On the road", "photos/dashcam-romania.jpg", _WHOLE),
    ),
    "stamp": (
        ("Round seal", "documents/letter-seal.jpg", (0.1, 0.72, 0.6, 0.94)),
        ("Composite", "documents/letter-composite.jpg", (0.13, 0.0, 0.6, 0.25)),
        ("No stamp", "documents/letter-without.jpg", (0.0, 0.0, 1.0, 0.5)),
    ),
}

_PAIRS = (
    ("Two imprints of one stamp", "compare/imprint-1.jpg", "compare/imprint-2.jpg"),
    ("A near-copy: one letter differs", "compare/imprint-1.jpg", "compare/near-copy.jpg"),
)


@dataclass(frozen=True)
class Sample:
    """A picture that comes with the package.

    Attributes:
        label: What its button says.
        path: Where it is.
        part: What of it its button shows (x0, y0, x1, y1), as parts of its sides.
    """

    label: str
    path: Path
    part: tuple[float, float, float, float]

    def thumbnail(self) -> str:
        """A small picture, as an address that holds it."""
        picture = Image.read(self.path)
        sides = np.tile((picture.width, picture.height), 2)
        left, top, right, bottom = np.rint(self.part * sides).astype(int).tolist()
        small = PIL.Image.fromarray(picture.pixels[top:bottom, left:right])
        small.thumbnail((320, 320))
        return data_url(small)


def samples(kind: Kind) -> list[Sample]:
    """The pictures there are for a kind of mark; none where the package came without."""
    for place in _PLACES:
        found = [Sample(label, place / name, part) for label, name, part in _NAMES[kind]]
        if all(sample.path.is_file() for sample in found):
            return found
    return []


def pairs() -> list[tuple[str, tuple[Path, Path]]]:
    """Pairs of imprints to compare, and what to call each; none where the package came without."""
    for place in _PLACES:
        found = [(label, (place / a, place / b)) for label, a, b in _PAIRS]
        if all(path.is_file() for _, paths in found for path in paths):
            return found
    return []
