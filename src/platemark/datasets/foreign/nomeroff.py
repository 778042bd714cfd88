"""Nomeroff Net's folders of crops: ``img/NAME.png`` with ``ann/NAME.json``, in train, val and test.

https://github.com/ria-com/nomeroff-net. ``description`` is the text and ``region_id`` the number of
the region in the list of the classifier that the data were made for; those lists differ.
"""

import glob
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from platemark.datasets.foreign.files import dumps, read_json
from platemark.datasets.outlines import Outline, Picture, Place, Read, attempt, split_of

REGIONS = (
    *("xx-unknown", "eu-ua-2015", "eu-ua-2004", "eu-ua-1995", "eu", "xx-transit", "ru", "kz"),
    *("eu-ua-ordlo-dpr", "eu-ua-ordlo-lpr", "ge", "by", "su", "kg", "am", "ua-military"),
    *("ru-military", "md", "eu-ua-custom"),
)
"""Codes by ``region_id``, as of its version 3."""
_UNUSED = {"tags", "objects", "moderation", "size", "name", "state_id", "orientation"}


def files(folder: Path) -> list[Path]:
    """The annotation files of a folder."""
    return sorted(path for path in folder.rglob("*.json") if path.parent.name == "ann")


def read(files: Sequence[Path], regions: Sequence[str] = ()) -> Read:
    """Read the files of one crop each; ``regions`` are the codes by number."""
    for file in files:
        yield attempt(partial(_read_file, file, regions or REGIONS), Place(file))


def _read_file(file: Path, regions: Sequence[str]) -> Picture:
    stated, place = read_json(file), Place(file)
    said = {key: value for key, value in stated.items() if key not in _UNUSED}
    number = said.pop("region_id", None)
    if number is not None and "region" not in said:
        if not 0 <= int(number) < len(regions):
            raise place.at("region_id").error(
                f"there is no region {number}; give the list of your classifier with --regions"
            )
        said["region"] = regions[int(number)]
    # The count of the classifier: 0 is rubbish, which has no lines.
    said["count_lines"] = int(said.get("count_lines") or 0) or None
    size = stated.get("size") or {}
    image = file.parent.parent / "img" / str(stated.get("name") or file.stem)
    found = next(iter(sorted(image.parent.glob(f"{glob.escape(image.name)}.*"))), image)
    return Picture(
        place,
        str(found.absolute()),
        (Outline(place, (), attributes=said),),
        size=(int(size["width"]), int(size["height"])) if size else None,
        split=split_of(file.parent.parent.name),
        crop=True,
    )


def write(folder: Path, pictures: Iterable[Picture]) -> None:
    """Write an annotation for each crop of a plate, whose image is in ``SPLIT/img``.

    Raises:
        DatasetError: An image is no crop of one plate, or its text is not known.
    """
    for picture in pictures:
        plate, image = picture.only_plate, PurePosixPath(picture.image)
        attributes = dict(plate.attributes)
        region = attributes.pop("region", None)
        width, height = picture.known_size
        stated = {
            "description": attributes.pop("text"),
            "name": image.stem,
            **({"region_id": REGIONS.index(region)} if region in REGIONS else {"region": region}),
            "count_lines": attributes.pop("lines", None),
            "size": {"width": width, "height": height},
            "moderation": {"isModerated": 1},
            **attributes,
        }
        file = folder / image.parent.parent / "ann" / f"{image.stem}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dumps(stated) + "\n", encoding="utf-8")
