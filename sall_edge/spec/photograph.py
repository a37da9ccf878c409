"""What a photograph shows, and the square that is made of it."""

from enum import Enum
from typing import Annotated

from pydantic import Field

from sall_edge.spec.base import Spec

__all__ = ["PREPARE_VERSION", "Eye", "ImageSpec", "View"]

PREPARE_VERSION = 2
"""Raised whenever `fundus.prepare` changes a pixel: engines made for another version are refused."""


class ImageSpec(Spec):
    """How a photograph becomes the square that the network eats.

    Attributes:
        side_px: Side of the square, in pixels.
        prepare_version: Version of the algorithm in `fundus.prepare`.
    """

    side_px: Annotated[int, Field(ge=32, le=2048)] = 224
    prepare_version: int = PREPARE_VERSION


class Eye(str, Enum):
    """Which eye, as the person has it: the left one is on the right of who looks at the person."""

    LEFT = "L"
    RIGHT = "R"


class View(str, Enum):
    """What a photograph is centred on."""

    MACULA = "macula"
    DISC = "disc"
