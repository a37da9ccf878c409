"""What a screened photograph looks like in a document."""

import numpy as np

from sall_edge.screening.overlay import draw_evidence, enlarge
from sall_edge.screening.report.content import Picture
from sall_edge.screening.verdict import Examined

__all__ = ["picture_of"]


def picture_of(examined: Examined) -> Picture | None:
    """The square, and where a disease is referable the square under its evidence; of several the strongest is drawn.

    None for a file that could not be read or has no field of view: there is nothing to show.
    """
    if examined.square is None:
        return None
    square = enlarge(examined.square)
    referable = tuple(name for name, verdict in examined.result.tasks.items() if verdict.referable)
    if examined.prediction is None or not referable:
        return Picture(square=square)
    strongest = np.max([examined.prediction.cams[name] for name in referable], axis=0)
    return Picture(square=square, evidence=draw_evidence(examined.square, strongest), tasks=referable)
