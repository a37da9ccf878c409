"""Photographs to squares with a bar; the ones that cannot be prepared are named and left out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sall_edge.cli.progress import ProgressBar
from sall_edge.spec import ImageSpec

if TYPE_CHECKING:
    from sall_edge.fundus.labels import LabelledPhotograph
    from sall_edge.fundus.prepared_set import PreparedSet

__all__ = ["prepare_shown"]


def prepare_shown(
    photographs: "Sequence[LabelledPhotograph]", image: ImageSpec, progress: ProgressBar
) -> "PreparedSet":
    """The prepared set, shown as a stage of `progress`.

    Raises:
        LabelsError: None can be prepared.
    """
    from sall_edge.fundus.prepared_set import prepare_set

    progress.stage("preparing", len(photographs))
    prepared = prepare_set(photographs, image, advance=progress.advance)
    for path, what in prepared.failures:
        progress.note(f"left out: {path}: {what}")
    return prepared
