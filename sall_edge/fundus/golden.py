"""A fingerprint of `prepare`: an engine refuses a machine that would cut other squares than its training saw."""

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from sall_edge.errors import ArtefactForeign
from sall_edge.fundus.prepare import prepare
from sall_edge.spec import PREPARE_VERSION, ImageSpec

__all__ = ["check_golden_square", "golden_square"]

U8 = npt.NDArray[np.uint8]

GOLDEN_BLOCKS = 8
"""The golden square is compared as 8 x 8 block means: small enough for a manifest, fine enough to see a shift."""

GOLDEN_TOLERANCE = 2
"""Grey levels: versions of OpenCV round differently by one; a field 0.8 % of its radius aside moves a block by more."""


def golden_square(image: ImageSpec) -> tuple[int, ...]:
    """Block means of the prepared square of a disc that is drawn by arithmetic: a fingerprint of `prepare`.

    Returns:
        GOLDEN_BLOCKS x GOLDEN_BLOCKS x 3 integers of 0..255, row by row.
    """
    square = prepare(_golden_photograph(), image)
    blocks = cv2.resize(square, (GOLDEN_BLOCKS, GOLDEN_BLOCKS), interpolation=cv2.INTER_AREA)
    return tuple(int(value) for value in blocks.ravel())


@lru_cache(maxsize=1)
def _golden_photograph() -> U8:
    """(288, 360, 3) uint8: a coloured disc, off centre, cut at the top, its edges off the blocks' borders."""
    y, x = np.ogrid[:288, :360]
    disc = (x - 190) ** 2 + (y - 136) ** 2 <= 144**2
    red, green, blue = 120 + x // 3, 30 + y // 4 + 120 * ((x // 27 + y // 27) % 2), 40 + (x + y) // 8
    photograph = np.stack(np.broadcast_arrays(red, green, blue), axis=2) * disc[:, :, None]
    drawn: U8 = photograph.astype(np.uint8)
    drawn.setflags(write=False)
    return drawn


def check_golden_square(recorded: tuple[int, ...], image: ImageSpec) -> None:
    """Refuses an engine whose photographs were prepared by another algorithm.

    Raises:
        ArtefactForeign: The version of the algorithm, or the golden square of this machine, is not the one recorded.
    """
    if image.prepare_version != PREPARE_VERSION:
        raise ArtefactForeign(
            f"the engine's network was trained on squares of version {image.prepare_version}",
            f"this sall-edge cuts version {PREPARE_VERSION}: some photographs would be cut elsewhere than in training",
            "train the network again with this sall-edge, or install the one that made the engine",
        )
    here = golden_square(image)
    again = "build the engine again with this version of sall-edge and OpenCV"
    if len(recorded) != len(here):
        raise ArtefactForeign(
            f"the engine's golden square has {len(recorded)} values", f"this version computes {len(here)}", again
        )
    difference = max(abs(ours - theirs) for ours, theirs in zip(here, recorded, strict=True))
    if difference > GOLDEN_TOLERANCE:
        raise ArtefactForeign(
            f"prepare() differs by {difference} grey levels from the one that the engine was made with",
            f"at most {GOLDEN_TOLERANCE} is tolerated: the network would see other photographs than in training",
            again,
        )
