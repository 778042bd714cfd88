import subprocess
import sys

import pytest

import platemark


def test_all_public_names_are_there_and_sorted() -> None:
    assert list(platemark.__all__) == sorted(platemark.__all__)
    for name in platemark.__all__:
        assert getattr(platemark, name) is not None
    assert dir(platemark) == list(platemark.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'PlateDetektor'"):
        platemark.PlateDetektor  # noqa: B018


def test_the_package_imports_nothing_heavy() -> None:
    code = "import sys, platemark; print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"cv2", "onnxruntime", "torch", "pydantic", "PIL", "pypdfium2", "numpy"}
    assert not heavy & set(output.stdout.split())
