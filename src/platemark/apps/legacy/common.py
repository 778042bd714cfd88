"""What the routes of the earlier systems share."""

import base64
from typing import Any

import PIL.Image

from platemark.apps.services import Services
from platemark.types.base import png

Json = dict[str, Any]


def sample_picture(services: Services, sample: str) -> str:
    """The picture of a sample of the registry, a PNG in base64."""
    return as_base64(PIL.Image.fromarray(services.registry.picture(sample).pixels))


def as_base64(picture: PIL.Image.Image) -> str:
    """A picture as a PNG in base64."""
    return base64.b64encode(png(picture)).decode("ascii")
