"""What other tools write is read: files after their documented examples."""

import csv
import json
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from platemark.datasets import Dataset, ManifestEntry, Reading
from platemark.datasets.foreign import FORMATS, format_of
from platemark.errors import DatasetError, PlatemarkError


def image(path: Path, size: tuple[int, int] = (200, 100)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", size).save(path)


def put(file: Path, content: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return file


def read(source: Path, format_name: str | None = None, **reading: Any) -> list[ManifestEntry]:
    found = list(Dataset.open(source, format_name, Reading(**reading)))
    assert all(isinstance(entry, ManifestEntry) for entry in found), found
    return found  # type: ignore[return-value]


def errors(source: Path, **reading: Any) -> list[DatasetError]:
    found = Dataset.open(source, reading=Reading(**reading))
    return [error for error in found if isinstance(error, DatasetError)]


NOMEROFF = {
    "_via_settings": {"ui": {}, "core": {"default_filepath": "./data"}, "project": {"name": "x"}},
    "_via_img_metadata": {
        "250031471orig.jpeg": {
            "file_attributes": {},
            "filename": "250031471orig.jpeg",
            "regions": [
                {
                    "region_attributes": {"class": "numberplate"},
                    "shape_attributes": {
                        "name": "polygon",
                        "all_points_x": [482, 522, 291, 261],
                        "all_points_y": [695, 767, 903, 842],
                    },
                }
            ],
            "size": 0,
        }
    },
    "_via_attributes": {"region": {"class": {"type": "text"}}, "file": {}},
}


def test_nomeroff_nets_photos(tmp_path: Path) -> None:
    for part in ("train", "val"):
        put(tmp_path / part / "via_region_data.json", NOMEROFF)
        image(tmp_path / part / "250031471orig.jpeg", (640, 960))
    first, second = read(tmp_path)
    assert (first.split, second.split) == ("train", "dev")
    assert first.image == "train/250031471orig.jpeg"
    assert (first.width, first.height) == (640, 960)
    (plate,) = first.plates
    # They drew it from the upper right; the plate reads from its own top-left.
    assert plate.quad == ((261, 842), (482, 695), (522, 767), (291, 903))
    assert plate.box == (261, 695, 522, 903)


def test_version_1_of_via_and_a_mixture_of_versions(tmp_path: Path) -> None:
    rect = {"name": "rect", "x": 10, "y": 20, "width": 100, "height": 30}
    closed = {"name": "polygon", "all_points_x": [1, 9, 9, 1, 1], "all_points_y": [1, 1, 5, 5, 1]}
    circle = {"name": "circle", "cx": 50, "cy": 60, "r": 20}
    one = {
        "fileref": "",
        "size": 12,
        "filename": "one.png",
        "base64_img_data": "",
        "file_attributes": {},
        "regions": {
            "0": {
                "shape_attributes": rect,
                "region_attributes": {"label": "numberplate", "np": "ab 12-c"},
            },
            "1": {"shape_attributes": closed, "region_attributes": {}},
        },
    }
    two = {
        "filename": "two.png",
        "size": 12,
        "regions": [{"shape_attributes": circle, "region_attributes": {"type": "round seal"}}],
        "file_attributes": {"caption": "a page", "source": "scanner"},
    }
    for name in ("one", "two"):
        image(tmp_path / f"{name}.png")
    first, second = read(put(tmp_path / "via.json", {"one.png12": one, "two.png12": two}))
    assert [plate.box for plate in first.plates] == [(10, 20, 110, 50), (1, 1, 9, 5)]
    assert first.plates[0].text == "AB12C"
    assert first.plates[1].quad == ((1, 1), (9, 1), (9, 5), (1, 5))
    assert [stamp.box for stamp in second.stamps] == [(30, 40, 70, 80)]
    assert (second.source, second.model_extra) == ("scanner", {"caption": "a page"})


def test_nomeroff_nets_crops(tmp_path: Path) -> None:
    stated = {
        **{"tags": [], "objects": [], "state_id": "2", "region_id": "11"},
        **{"size": {"width": 146, "height": 31}, "moderation": {"isModerated": 0}},
        **{"description": "2914 KC-7", "name": "10001_2914KC7_0", "count_lines": "1"},
    }
    put(tmp_path / "val" / "ann" / "10001_2914KC7_0.json", stated)
    image(tmp_path / "val" / "img" / "10001_2914KC7_0.png", (146, 31))
    (entry,) = read(tmp_path)
    (plate,) = entry.plates
    assert (entry.kind, entry.split) == ("crop", "dev")
    assert (plate.text, plate.region, plate.lines) == ("2914KC7", "by", 1)
    assert plate.box == (0, 0, 146, 31)
    (other,) = read(tmp_path, regions=tuple("abcdefghijkl"))
    assert other.plates[0].region == "l"
    (error,) = errors(tmp_path, regions=("ru",))
    assert error.key == "region_id"


def test_coco_in_any_order(tmp_path: Path) -> None:
    marks = [
        {
            **{"id": 7, "image_id": 2, "category_id": 1, "iscrowd": 0, "area": 200.0},
            "bbox": [10, 20, 40, 10],
            "segmentation": [[10, 20, 50, 21, 50, 30, 10, 29]],
            "attributes": {"occluded": False, "rotation": 0.0, "text": "AB 1"},
        },
        {
            **{"id": 8, "image_id": 1, "category_id": 3, "iscrowd": 1, "bbox": [1, 2, 3, 4]},
            "segmentation": {"counts": [3, 4], "size": [2, 2]},
        },
    ]
    content = {
        "annotations": marks,
        "images": [
            {"id": 1, "file_name": "a.jpg", "width": 200, "height": 100, "license": 1},
            {"id": 2, "file_name": "b.jpg", "width": 200, "height": 100},
        ],
        "categories": [{"id": 1, "name": "license_plate"}, {"id": 3, "name": "stamp"}],
    }
    file = put(tmp_path / "annotations" / "instances_val2017.json", content)
    for name in "ab":
        image(tmp_path / "val2017" / f"{name}.jpg")
    assert format_of(file) == format_of(tmp_path) == "coco"
    first, second = read(tmp_path)
    assert (first.image, first.split) == ("val2017/a.jpg", "dev")
    assert first.stamps[0].box == (1, 2, 4, 6)
    (plate,) = second.plates
    assert plate.box == (10, 20, 50, 30)
    assert (plate.quad, plate.text) == (((10, 20), (50, 21), (50, 30), (10, 29)), "AB1")
    marks[0]["image_id"] = 3
    put(file, content)
    (error,) = errors(file)
    assert error.key == "annotations.0"
    assert "3" in error.message
    assert error.line is not None


YOLO_LINES = {
    "boxes": ("", "0 0.5 0.5 0.2 0.4\n"),
    "obb": ("", "0 0.4 0.3 0.6 0.3 0.6 0.7 0.4 0.7\n"),
    "pose": ("kpt_shape: [4, 2]\n", "0 0.5 0.5 0.2 0.4 0.4 0.3 0.6 0.3 0.6 0.7 0.4 0.7\n"),
}


@pytest.mark.parametrize("kind", YOLO_LINES)
def test_yolo(tmp_path: Path, kind: str) -> None:
    shape, line = YOLO_LINES[kind]
    # Roboflow's paths are those of a folder beside the file.
    put(
        tmp_path / "data.yaml",
        f"train: ../train/images\nval: ../valid/images\nnames: ['License_Plate']\n{shape}",
    )
    for part in ("train", "valid"):
        image(tmp_path / part / "images" / "1.jpg")
        image(tmp_path / part / "images" / "empty.jpg")
        put(tmp_path / part / "labels" / "1.txt", line)
    found = read(tmp_path)
    assert [(entry.image, entry.split, len(entry.plates)) for entry in found] == [
        ("train/images/1.jpg", "train", 1),
        ("train/images/empty.jpg", "train", 0),
        ("valid/images/1.jpg", "dev", 1),
        ("valid/images/empty.jpg", "dev", 0),
    ]
    assert found[0].plates[0].box == (80, 30, 120, 70)
    assert (found[0].plates[0].quad is not None) == (kind == "pose")


def test_yolo_names_the_line_that_is_wrong(tmp_path: Path) -> None:
    put(tmp_path / "data.yaml", "path: .\ntrain: images\nval: images\nnames: {0: plate}\n")
    image(tmp_path / "images" / "1.jpg")
    image(tmp_path / "images" / "2.jpg")
    put(tmp_path / "labels" / "1.txt", "0 0.5 0.5 0.2 0.4\n3 0.5 0.5 0.2 0.4\n")
    put(tmp_path / "labels" / "2.txt", "0 0.5 half 0.2 0.4\n")
    put(tmp_path / "labels" / "gone.txt", "")
    found = [(Path(str(error.file)).name, error.line) for error in errors(tmp_path)]
    assert found == [("1.txt", 2), ("2.txt", 1), ("gone.txt", None)]


VOC = """<annotation verified="yes">
 <folder>images</folder><filename>car.png</filename><path>/home/me/car.png</path>
 <source><database>Unknown</database></source>
 <size><width>200</width><height>100</height><depth>3</depth></size><segmented>0</segmented>
 <object><name>licence</name><pose>Unspecified</pose><truncated>0</truncated>
  <difficult>0</difficult>
  <bndbox><xmin>10</xmin><ymin>20</ymin><xmax>110</xmax><ymax>45</ymax></bndbox></object>
 {more}
</annotation>"""


def test_pascal_voc(tmp_path: Path) -> None:
    turned = (
        "<object><name>plate</name><robndbox><cx>100</cx><cy>50</cy><w>40</w><h>20</h>"
        "<angle>1.5707963267948966</angle></robndbox></object>"
    )
    put(tmp_path / "Annotations" / "car.xml", VOC.format(more=turned))
    put(tmp_path / "ImageSets" / "Main" / "val.txt", "car  1\n")
    image(tmp_path / "JPEGImages" / "car.png")
    (entry,) = read(tmp_path)
    assert (entry.image, entry.split) == ("JPEGImages/car.png", "dev")
    assert entry.plates[0].box == (10, 20, 110, 45)
    assert [[round(v) for v in point] for point in entry.plates[1].quad or ()] == [
        *([110, 30], [110, 70], [90, 70], [90, 30])
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', "refused"),
        ("<annotation><object></annotation>", "not XML"),
    ],
)
def test_xml_that_is_broken_or_would_do_harm(tmp_path: Path, text: str, reason: str) -> None:
    file = put(tmp_path / "car.xml", text)
    with pytest.raises(DatasetError, match=reason) as caught:
        list(Dataset.open(file, "cvat"))
    assert caught.value.file == str(file)
    with pytest.raises(DatasetError, match=reason):
        format_of(file)


def test_label_studio(tmp_path: Path) -> None:
    common = {
        "original_width": 200,
        "original_height": 100,
        "image_rotation": 0,
        "to_name": "image",
    }
    rectangle = {"x": 10.0, "y": 20.0, "width": 50.0, "height": 25.0, "rotation": 0}
    results = [
        {
            **common,
            **{"id": "a", "from_name": "label", "type": "rectanglelabels"},
            "value": rectangle | {"rectanglelabels": ["Plate"]},
        },
        {
            **common,
            **{"id": "a", "from_name": "transcription", "type": "textarea"},
            "value": rectangle | {"text": ["ka 12 bc"]},
        },
        {
            **common,
            **{"id": "a", "from_name": "country", "type": "choices"},
            "value": {"choices": ["eu-ua-2015"]},
        },
        {
            **common,
            **{"id": "b", "from_name": "label", "type": "rectanglelabels"},
            "value": rectangle | {"rotation": 90, "rectanglelabels": ["Plate"]},
        },
        {
            **common,
            **{"id": "c", "from_name": "poly", "type": "polygonlabels"},
            "value": {
                "points": [[50, 50], [60, 50], [60, 60], [50, 60]],
                "polygonlabels": ["Plate"],
            },
        },
    ]
    tasks = [
        {
            "id": 1,
            "data": {"image": "/data/upload/1/8f3c-car.jpg"},
            "annotations": [
                {"id": 1, "was_cancelled": True, "result": []},
                {"id": 2, "was_cancelled": False, "result": results},
            ],
            "predictions": [],
        },
        {"id": 2, "data": {"image": "/data/local-files/?d=photos/no%20car.jpg"}, "annotations": []},
    ]
    image(tmp_path / "8f3c-car.jpg")
    image(tmp_path / "photos" / "no car.jpg")
    file = put(tmp_path / "project-1-at-2026.json", tasks)
    assert format_of(tmp_path) == "labelstudio"
    first, second = read(file)
    upright, turned, polygon = first.plates
    assert (upright.box, upright.text) == ((20, 20, 120, 45), "KA12BC")
    assert upright.region == "eu-ua-2015"
    # Label Studio turns about the rectangle's own top-left.
    assert [[round(v) for v in point] for point in turned.quad or ()] == [
        *([20, 20], [20, 120], [-5, 120], [-5, 20])
    ]
    assert polygon.quad == ((100, 50), (120, 50), (120, 60), (100, 60))
    assert (second.image, second.plates) == ("photos/no car.jpg", ())


def test_labelme(tmp_path: Path) -> None:
    common = {"group_id": None, "flags": {}}
    shapes = [
        {"label": "plate", "points": [[110, 45], [10, 20]], "shape_type": "rectangle", **common},
        {"label": "stamp", "points": [[50, 50], [50, 60]], "shape_type": "circle", **common},
        {
            **{"label": "plate", "points": [[1, 1], [9, 1], [9, 5], [1, 5]], **common},
            **{"shape_type": "polygon", "description": "AB12", "flags": {"obscured": True}},
        },
    ]
    content = {
        **{"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": "..\\img\\car.jpg"},
        **{"imageData": "AAAA" * 40000, "imageHeight": 100, "imageWidth": 200},
    }
    image(tmp_path / "img" / "car.jpg")
    put(tmp_path / "labels" / "car.json", content)
    assert format_of(tmp_path) == "labelme"
    (entry,) = read(tmp_path)
    assert [plate.box for plate in entry.plates] == [(10, 20, 110, 45), (1, 1, 9, 5)]
    assert (entry.plates[1].text, entry.plates[1].obscured) == ("AB12", True)
    assert entry.stamps[0].box == (40, 40, 60, 60)


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
 <meta><task><id>4</id><mode>annotation</mode><labels>
  <label><name>plate</name><color>#fafa37</color><type>any</type><attributes/></label>
 </labels></task></meta>
 <image id="0" name="a/car.jpg" subset="Validation" width="200" height="100">
  <box label="plate" source="manual" occluded="1" xtl="10.00" ytl="20.00" xbr="110.00" ybr="45.00"
   z_order="0"><attribute name="text">AB 12</attribute></box>
  <box label="plate" source="manual" occluded="0" xtl="80" ytl="40" xbr="120" ybr="60"
   rotation="90.00" z_order="0"></box>
  <polygon label="plate" source="manual" occluded="0" z_order="0"
   points="9.00,1.00;9.00,5.00;1.00,5.00;1.00,1.00"></polygon>
 </image>
 {more}
</annotations>"""


def test_cvat(tmp_path: Path) -> None:
    image(tmp_path / "images" / "a" / "car.jpg")
    file = put(tmp_path / "annotations.xml", CVAT.format(more=""))
    (entry,) = read(tmp_path)
    assert (entry.image, entry.split) == ("images/a/car.jpg", "dev")
    plain, turned, polygon = entry.plates
    assert (plain.box, plain.text) == ((10, 20, 110, 45), "AB12")
    assert [[round(v) for v in point] for point in turned.quad or ()] == [
        *([110, 30], [110, 70], [90, 70], [90, 30])
    ]
    assert polygon.quad == ((1, 1), (9, 1), (9, 5), (1, 5))
    put(file, CVAT.format(more='<track id="0" label="plate"><box frame="0"/></track>'))
    (error,) = errors(file)
    assert "video" in error.message


def test_fast_plate_ocrs_table(tmp_path: Path) -> None:
    rows = [
        ("image_path", "plate_text", "plate_region"),
        ("images/1.jpg", "KNN505", "Argentina"),
        ("images/2.jpg", "", ""),
        ("images/none.jpg", "A", ""),
        ("images/3.jpg", "B"),
    ]
    file = tmp_path / "val" / "annotations.csv"
    for number in (1, 2, 3):
        image(file.parent / "images" / f"{number}.jpg", (60, 20))
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    found = list(Dataset.open(tmp_path))
    first, second = (entry for entry in found if isinstance(entry, ManifestEntry))
    assert (first.kind, first.split, first.width) == ("crop", "dev", 60)
    assert (first.plates[0].text, first.plates[0].region) == ("KNN505", "Argentina")
    assert (second.plates[0].text, second.plates[0].box) == (None, (0, 0, 60, 20))
    assert [error.line for error in found if isinstance(error, DatasetError)] == [4, 5]
    put(file, "file,text\n1.jpg,A\n")
    with pytest.raises(DatasetError, match="image_path,plate_text are needed"):
        list(Dataset.open(tmp_path))


def via(points: list[tuple[float, float]], **attributes: str) -> dict[str, Any]:
    xs, ys = zip(*points, strict=True)
    shape = {"name": "polygon", "all_points_x": list(xs), "all_points_y": list(ys)}
    region = {"shape_attributes": shape, "region_attributes": attributes}
    return {"car.jpg1": {"filename": "car.jpg", "size": 1, "regions": [region]}}


def test_polygons(tmp_path: Path) -> None:
    image(tmp_path / "car.jpg")
    file = tmp_path / "via.json"
    triangle = [(10.0, 10.0), (90.0, 10.0), (50.0, 60.0)]
    put(file, via(triangle, label="numberplate"))
    (error,) = errors(file)
    assert (error.file, error.key) == (str(file), "car.jpg1.regions.0")
    assert "3 points" in error.message
    put(file, via(triangle, label="stamp"))
    (entry,) = read(file)
    assert (entry.stamps[0].box, entry.stamps[0].quad) == ((10, 10, 90, 60), None)
    # A plate drawn with more corners than it has gets the tightest four-sided outline.
    put(file, via([(10, 10), (50, 10), (90, 10), (90, 30), (88, 40), (10, 40)]))
    (plate,) = read(file)[0].plates
    assert plate.quad is not None
    assert plate.box == (10, 10, 90, 40)
    for corner, near in zip(plate.quad, [(10, 10), (90, 10), (90, 40), (10, 40)], strict=True):
        assert corner == pytest.approx(near, abs=3)
    put(file, via([(10, 10), (50, 10), (90, 10), (30, 10), (20, 10)]))
    assert "no plate" in errors(file)[0].message or "on a line" in errors(file)[0].message
    # Corners drawn crosswise are put in order.
    put(file, via([(10, 10), (90, 40), (90, 10), (10, 40)]))
    assert read(file)[0].plates[0].quad == ((10, 10), (90, 10), (90, 40), (10, 40))


def test_labels_are_plates_or_stamps_or_asked_for(tmp_path: Path) -> None:
    image(tmp_path / "car.jpg")
    square = [(10.0, 10.0), (90.0, 10.0), (90.0, 40.0), (10.0, 40.0)]
    file = put(tmp_path / "via.json", via(square, label="thing"))
    (error,) = errors(file)
    assert "--label 'thing=plate'" in error.message
    assert len(read(file, labels={"thing": "stamp"})[0].stamps) == 1
    assert read(file, labels={"thing": "ignore"})[0].ignore == ((10, 10, 90, 40),)
    assert read(file, labels={"thing": "skip"})[0].plates == ()
    put(file, via(square))
    assert len(read(file, kind="stamp")[0].stamps) == 1


def test_an_image_without_marks_lists_what_was_looked_for(tmp_path: Path) -> None:
    put(tmp_path / "data.yaml", "train: images\nval: images\nnames: [stamp, car, dog]\n")
    image(tmp_path / "images" / "1.jpg")
    (entry,) = read(tmp_path)
    assert {"plates", "stamps"} & entry.model_fields_set == {"stamps"}
    put(tmp_path / "labels" / "1.txt", "1 0.5 0.5 0.2 0.4\n")
    (error,) = errors(tmp_path)
    assert "'car'" in error.message
    assert error.line == 1
    empty = put(tmp_path / "via.json", {"a": {"filename": "images/1.jpg", "regions": []}})
    (entry,) = read(empty, kind="stamp")
    assert {"plates", "stamps"} & entry.model_fields_set == {"stamps"}


def test_attributes_of_the_tools_own(tmp_path: Path) -> None:
    image(tmp_path / "car.jpg")
    square = [(10.0, 10.0), (90.0, 10.0), (90.0, 40.0), (10.0, 40.0)]
    stated = {"text": "123", "quad": "front", "occluded": "no", "count_lines": "2", "note": ""}
    content = via(square, label="plate", **stated)
    (own,) = content.values()
    own["file_attributes"] = {"image": "other.jpg", "split": "valid", "kind": "sedan", "page": "3"}
    (entry,) = read(put(tmp_path / "via.json", content))
    (mark,) = entry.plates
    assert (mark.text, mark.lines, mark.model_extra) == ("123", 2, {"occluded": "no"})
    assert (entry.image, entry.split, entry.kind) == ("car.jpg", "dev", "scene")
    assert entry.model_extra == {"page": "3"}
    own["file_attributes"] = {"split": "holdout"}
    (error,) = errors(put(tmp_path / "via.json", content))
    assert error.key == "car.jpg1.split"


@pytest.mark.parametrize(
    ("content", "key", "reason"),
    [
        ({"filename": "gone.jpg", "regions": []}, "a", "gone.jpg"),
        ({"filename": "../../etc/passwd", "regions": []}, "a", "passwd"),
        ({"regions": [], "filename": None}, "a", "format"),
        ({"filename": "car.jpg", "regions": [{}]}, "a.regions.0", "shape_attributes"),
        (
            {"filename": "car.jpg", "regions": [{"shape_attributes": {"name": "rect", "x": 1}}]},
            "a.regions.0.shape_attributes",
            "'y' is missing",
        ),
        (
            {"filename": "car.jpg", "regions": [{"shape_attributes": {"name": "point"}}]},
            "a.regions.0.shape_attributes",
            "no area",
        ),
        (
            {
                "filename": "car.jpg",
                "regions": [
                    {"shape_attributes": {"name": "rect", "x": 5, "y": 5, "width": 0, "height": 3}}
                ],
            },
            "a.regions.0.box",
            "no area",
        ),
    ],
)
def test_what_is_wrong_is_named_and_the_rest_is_read(
    tmp_path: Path, content: dict[str, Any], key: str, reason: str
) -> None:
    image(tmp_path / "car.jpg")
    file = put(tmp_path / "via.json", {"a": content, "b": {"filename": "car.jpg", "regions": []}})
    wrong, fine = Dataset.open(file, "via")
    assert isinstance(wrong, DatasetError)
    assert (wrong.file, wrong.line, wrong.key) == (str(file), 2, key)
    assert reason in wrong.message
    assert isinstance(fine, ManifestEntry)


def test_files_that_are_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file"):
        Dataset.open(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="no format that is known"):
        Dataset.open(tmp_path)
    broken = put(tmp_path / "broken.json", '{"a": {"filename": "x", "regions": []}, ')
    with pytest.raises(DatasetError, match="JSON"):
        list(Dataset.open(broken, "via"))
    (tmp_path / "latin1.json").write_bytes(b'{"\xe4": 1}')
    with pytest.raises(PlatemarkError, match="UTF-8"):
        list(Dataset.open(tmp_path / "latin1.json", "coco"))
    (tmp_path / "empty").mkdir()
    for name in FORMATS:
        with pytest.raises(DatasetError, match="no annotations"):
            list(Dataset.open(tmp_path / "empty", name))


def test_yolo_labels_beside_the_images(tmp_path: Path) -> None:
    put(tmp_path / "images" / "data.yaml", "train: .\nval: .\nnames: [plate]\n")
    image(tmp_path / "images" / "1.jpg")
    put(tmp_path / "images" / "1.txt", "0 0.5 0.5 0.2 0.4\n")
    (entry,) = read(tmp_path / "images")
    assert len(entry.plates) == 1
