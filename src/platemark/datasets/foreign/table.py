"""CSV of crops as fast-plate-ocr trains on: ``image_path,plate_text`` and perhaps ``plate_region``.

https://github.com/ankandrew/fast-plate-ocr. Other columns are kept.
"""

import csv
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from platemark.datasets.foreign.files import open_text
from platemark.datasets.outlines import Outline, Picture, Place, Read, attempt, split_of

FILE_NAME = "annotations.csv"
_IMAGE, _TEXT, _REGION, _SPLIT = "image_path", "plate_text", "plate_region", "split"


def read(files: Sequence[Path]) -> Read:
    """Read the rows of tables, each the crop of one plate."""
    for file in files:
        with open_text(file) as stream:
            rows = csv.DictReader(stream, strict=True)
            if not {_IMAGE, _TEXT} <= set(rows.fieldnames or ()):
                head = ",".join(rows.fieldnames or ())
                raise Place(file, 1).error(f"the columns are {head}; {_IMAGE},{_TEXT} are needed")
            while True:
                try:
                    row = next(rows)
                except StopIteration:
                    break
                except csv.Error as error:
                    raise Place(file, rows.line_num).error(f"is not CSV ({error})") from error
                place = Place(file, rows.line_num)
                yield attempt(partial(_picture, row, place), place)


def _picture(row: dict[str, str | None], place: Place) -> Picture:
    if None in row or None in row.values():
        raise place.error("the row has more or fewer fields than the head")
    said = {key: value for key, value in row.items() if key not in (_IMAGE, _SPLIT) and value}
    split = split_of(row.get(_SPLIT) or "") or split_of(place.file.parent) or split_of(place.file)
    outline = Outline(place, (), attributes=said)
    return Picture(place, row[_IMAGE] or "", (outline,), split=split, crop=True)


def write(file: Path, pictures: Iterable[Picture]) -> None:
    """Write a row for each crop of a plate.

    Raises:
        DatasetError: An image is no crop of one plate, or its text is not known.
    """
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow((_IMAGE, _TEXT, _REGION, _SPLIT))
        for picture in pictures:
            plate = picture.only_plate
            text, region = (plate.attributes.get(name) or "" for name in ("text", "region"))
            writer.writerow((picture.image, text, region, picture.split))
