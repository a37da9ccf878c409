"""The photographs of one command, for however many engines it names."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sall_edge.artifacts import Manifest
from sall_edge.cli.progress import ProgressBar

if TYPE_CHECKING:
    from sall_edge.bench.accuracy.gradable_set import GradableSet

__all__ = ["LookedOnce"]


class LookedOnce:
    """Labelled photographs, read and prepared once for every image specification, not once for every engine.

    Args:
        labels: CSVs; none means no photographs.
        split: Which rows.
    """

    def __init__(self, labels: Sequence[Path], split: str) -> None:
        from sall_edge.bench.accuracy.side_by_side import ReferenceAnswers

        self.references = ReferenceAnswers()
        self._labels = labels
        self._split = split
        self._sets: dict[str, GradableSet] = {}

    def seen_by(self, manifest: Manifest, progress: ProgressBar) -> "GradableSet | None":
        """The photographs with the labels of these tasks; None without labels.

        Raises:
            LabelsError: The labels break a rule, or no photograph may be graded.
        """
        from sall_edge.bench.accuracy.gradable_set import look_at_all
        from sall_edge.fundus.labels import in_split, read_labels
        from sall_edge.spec import TaskSet

        if not self._labels:
            return None
        photographs = in_split(read_labels(self._labels, TaskSet(tasks=manifest.tasks)), self._split)
        key = manifest.image.sha256
        if key not in self._sets:
            progress.stage("preparing", len(photographs))
            self._sets[key] = look_at_all(photographs, manifest.image, advance=progress.advance)
        return self._sets[key].labelled_by(photographs)
