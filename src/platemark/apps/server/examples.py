"""Examples of answers in the OpenAPI description."""

_PLACE = {
    "score": 0.98,
    "box": [412.1, 633.0, 590.7, 680.2],
    "quad": [[412.1, 634.0], [590.2, 633.0], [590.7, 679.1], [412.9, 680.2]],
}
_SIZE = {"page": 0, "width": 1600, "height": 1200}
_FAILED = {
    "source": "bad.jpg",
    "error": {"code": "unreadable_image", "message": "bad.jpg is not an image: ..."},
}
_INK = {"size": [1200, 1600], "counts": "PPYo1"}

_PLATES = {
    "source": "car.jpg",
    **_SIZE,
    "marks": [
        {
            "kind": "plate",
            **_PLACE,
            "text": "AC4921CB",
            "text_score": 0.97,
            "characters": [{"char": "A", "score": 0.99}],
            "alternatives": [{"text": "AC4921C8", "score": 0.01}],
            "matches_format": True,
            "region": {"code": "eu-ua-2015", "score": 0.96},
            "lines": 1,
            "obscured": {"value": False, "score": 0.01},
        }
    ],
    "elapsed_ms": 18.4,
}
PLATES_EXAMPLE = [_PLATES, _FAILED]
_EXPECTED = {"text": "AC4921CB", "verdict": "match", "score": 0.98}
VERIFY_EXAMPLE = [_PLATES | {"expected": _EXPECTED}, _FAILED]
_STAMP = {
    "kind": "stamp",
    **_PLACE,
    "shape": "circle",
    "color": "blue",
    "rotation": 12.5,
    "mask": _INK,
    "text": None,
    "text_score": 0.0,
    "lines": [],
    "identity": None,
}
STAMPS_EXAMPLE = [
    {"source": "letter.pdf", **_SIZE, "marks": [_STAMP], "elapsed_ms": 52.0},
    _FAILED,
]
_IDENTITY = {
    "name": "ACME Ltd",
    "design": "01KB0Z5V7Q3N8X2M4T6R9WECDA",
    "similarity": 0.91,
    "accepted": True,
}
_CANDIDATE = _IDENTITY | {"score": 0.98, "sample": "01KB0Z5V7R0000000000000000"}
IDENTIFIED_EXAMPLE = [
    {
        "source": "letter.pdf",
        **_SIZE,
        "marks": [_STAMP | {"identity": _IDENTITY, "candidates": [_CANDIDATE]}],
        "elapsed_ms": 60.0,
    },
    _FAILED,
]
REDACTED_EXAMPLE = {
    "source": "car.jpg",
    "pages": [_SIZE | {"marks": [{"kind": "plate", **_PLACE}]}],
    "suffix": ".jpg",
    "media_type": "image/jpeg",
    "data": "/9j/4AAQSkZJRgABAQ...",
}
EMBEDDINGS_EXAMPLE = [
    {
        "source": "letter.jpg",
        "page": 0,
        "embeddings": [
            {
                "box": _PLACE["box"],
                "score": 0.98,
                "embedding": [0.6, -0.8],
                "model": "stamp-embedder@1.0",
            }
        ],
    }
]
SEGMENTS_EXAMPLE = [
    {
        "source": "letter.jpg",
        "page": 0,
        "stamps": [{"box": _PLACE["box"], "score": 0.98, "mask": _INK}],
    }
]
DESIGN_EXAMPLE = {
    "design": "01KB0Z5V7Q3N8X2M4T6R9WECDA",
    "name": "ACME Ltd",
    "notes": "",
    "tags": ["supplier"],
    "owner": "",
    "created": "2026-11-25T12:00:00.000Z",
    "changed": "2026-11-25T12:00:00.000Z",
    "retired": None,
    "samples": 1,
}
ADDED_EXAMPLE = [
    {
        "source": "acme.png",
        "page": 0,
        "added": [
            {
                "box": _PLACE["box"],
                "design": DESIGN_EXAMPLE,
                "sample": {
                    "sample": "01KB0Z5V7R0000000000000000",
                    "created": "2026-11-25T12:00:00.000Z",
                    "model": "stamp-embedder@1.0",
                    "source": "acme.png",
                    "page": 0,
                    "box": _PLACE["box"],
                    "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    "text": "ACME LTD",
                },
                "new_design": True,
                "new_sample": True,
                "alike": [],
            }
        ],
    },
    _FAILED,
]
COMPARISON_EXAMPLE = {
    "score": 0.97,
    "verdict": "same",
    "reason": "the ink agrees",
    "transform": [[1.0, 0.02, -3.5], [-0.02, 1.0, 8.0], [0.0, 0.0, 1.0]],
    "a": [102.0, 80.0, 402.0, 380.0],
    "b": [99.0, 88.0, 399.0, 388.0],
}
