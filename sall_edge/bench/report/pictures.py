"""Pictures for the page of a bench: what the network saw on photographs whose referral changed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sall_edge.artifacts import Engine
from sall_edge.bench.accuracy.grading import Flip
from sall_edge.errors import PhotographError
from sall_edge.fundus.prepare import prepare_file
from sall_edge.runtime.session import Session, open_reference, open_session
from sall_edge.screening.overlay import draw_evidence, enlarge

__all__ = ["MOST_FLIPS", "FlippedPhotograph", "Picture", "picture_flips"]

U8 = npt.NDArray[np.uint8]

MOST_FLIPS = 12
"""Of an engine on a page: three pictures each, some 0.1 MB together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """(H, W, 3) uint8 RGB pixels and a line below."""

    pixels: U8
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlippedPhotograph:
    """A changed referral with the photograph, and the evidence for it as FP32 and the engine see it.

    Attributes:
        flip: What changed.
        pictures: The three; none where the photograph cannot be read any more.
        problem: Why there are none.
    """

    flip: Flip
    pictures: tuple[Picture, ...] = ()
    problem: str = ""


def picture_flips(
    engine: Engine, flips: Sequence[Flip], *, most: int = MOST_FLIPS, advance: Callable[[], None] = lambda: None
) -> tuple[FlippedPhotograph, ...]:
    """The first `most` of the flips with pictures, in their order, which has lost referrals first.

    Args:
        engine: That was measured.
        flips: From its report; their files are read again.
        most: Upper bound.
        advance: Called after each.

    Raises:
        SallEdgeError: The engine cannot be opened.
    """
    if not flips:
        return ()
    flipped = []
    with open_session(engine) as session, open_reference(engine) as reference:
        for flip in flips[:most]:
            flipped.append(_pictured(flip, session, reference))
            advance()
    return tuple(flipped)


def _pictured(flip: Flip, session: Session, reference: Session) -> FlippedPhotograph:
    try:
        square = prepare_file(Path(flip.image), session.manifest.image).square
    except PhotographError as problem:
        return FlippedPhotograph(flip=flip, problem=problem.what)
    pictures = [Picture(pixels=enlarge(square), caption="as the network sees it")]
    precision = session.manifest.precision.value.upper()
    sides = (
        ("FP32", reference, flip.before, flip.probability_before),
        (precision, session, flip.after, flip.probability_after),
    )
    for name, one, decision, probability in sides:
        cam = one.run(square).cams[flip.task]
        caption = f"{name}: {decision}, P = {probability:.3f}, evidence peaks at {cam.max():.1f} logits"
        pictures.append(Picture(pixels=draw_evidence(square, cam), caption=caption))
    return FlippedPhotograph(flip=flip, pictures=tuple(pictures))
