"""Accuracy of the photographs that share a value of a column: a data set, a camera, an eye, a quality."""

from pydantic import BaseModel, ConfigDict

from sall_edge.bench.accuracy import TaskAccuracy

__all__ = ["Group", "Imageability"]


class Imageability(BaseModel):
    """The share of photographs that may be graded.

    Attributes:
        n: Photographs, those that cannot be read included.
        gradable: Of those, how many were graded.
        share: gradable / n.
        interval: 95 % percentile bootstrap interval of the share, patients resampled.
        reasons: How many were stopped, by reason; a photograph may have several. "unreadable" is one.
    """

    model_config = ConfigDict(frozen=True)

    n: int
    gradable: int
    share: float
    interval: tuple[float, float]
    reasons: dict[str, int]


class Group(BaseModel):
    """Photographs that share a value.

    Attributes:
        column: Of the labels CSV, such as "source" or "eye"; "set" is the CSV itself.
        value: What stands there; "" is an empty cell.
        imageability: Of the group.
        accuracy: By task, over its gradable, labelled photographs; a task without labels here is missing.
    """

    model_config = ConfigDict(frozen=True)

    column: str
    value: str
    imageability: Imageability
    accuracy: dict[str, TaskAccuracy]
