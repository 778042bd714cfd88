"""Pictures to try the web app on: they come with the package."""

from dataclasses import dataclass
from pathlib import Path

import PIL.Image

from platemark.apps.web.pictures import data_url

# In an installed package they lie beside this file, in a checkout where all examples are.
_PLACES = (Path(__file__).parent / "examples", Path(__file__).parents[4] / "examples")
_NAMES = {
    "plate": {
        "Hatchback": "photos/golf-front.jpg",
        "Two cars": "photos/two-cars-germany.jpg",
        "Tilted": "photos/hatchback-rear-tilted.jpg",
        "On the road": "photos/dashcam-romania.jpg",
    },
    "stamp": {
        "Seal": "documents/letter-seal.jpg",
        "Composite": "documents/letter-composite.jpg",
        "Receipt": "documents/receipt-posted.jpg",
        "No stamp": "documents/letter-without.jpg",
    },
}


@dataclass(frozen=True)
class Sample:
    """A picture that comes with the package.

    Attributes:
        label: What its button says.
        path: Where it is.
    """

    label: str
    path: Path

    def thumbnail(self) -> str:
        """A small picture, as an address that holds it."""
        with PIL.Image.open(self.path) as picture:
            small = picture.convert("RGB")
        small.thumbnail((320, 320))
        return data_url(small)


def samples(kind: str) -> list[Sample]:
    """The pictures there are for a kind of mark; none where the package came without."""
    found = ((label, place / name) for place in _PLACES for label, name in _NAMES[kind].items())
    chosen: dict[str, Sample] = {}
    for label, path in found:
        if path.is_file():
            chosen.setdefault(label, Sample(label, path))
    return list(chosen.values())
