"""Which photographs to calibrate with: every grade, source, camera and quality, the rare ones too."""

from collections import defaultdict, deque
from collections.abc import Callable, Sequence

import numpy as np

from sall_edge.errors import CalibrationError
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.spec import Task

__all__ = ["choose"]

_COLUMNS = ("source", "camera", "quality")
"""Of a labels CSV that has them: what photographs look like differs between their values as much as between grades."""


def choose(
    photographs: Sequence[LabelledPhotograph], tasks: Sequence[Task], count: int, *, rng: np.random.Generator
) -> tuple[LabelledPhotograph, ...]:
    """At most `count` photographs, spread over grades, sources, cameras and qualities as evenly as they last.

    Ranges must cover what rare grades look like, so they are drawn in turn from the strata (CSV, grade of each task,
    and what the columns source, camera and quality say), not in proportion: a grade with 2 % of the photographs gives
    all it has before a common one gives more.

    Args:
        photographs: In any order; the choice does not depend on it.
        tasks: Whose grades make the strata; an unknown grade is a stratum of its own.
        count: How many to choose.
        rng: Decides which of a stratum come first.

    Returns:
        Distinct photographs; all of them when there are no more than `count`. Grades take turns from the first one on,
        while looks come as often as among all that were chosen: `refine` reads the first ones only, and is misled
        when most of them are of poor quality (docs/adr/0003).

    Raises:
        CalibrationError: There is no photograph, or `count` is not positive.
    """
    if count < 1:
        raise CalibrationError(f"{count} calibration photographs were asked for", "one is the least", "raise --count")
    if not photographs:
        fix = "check --split and the labels CSV"
        raise CalibrationError("there is no photograph to calibrate with", "the selection of labels is empty", fix)
    ordered = sorted(photographs, key=lambda one: str(one.path))
    chosen = _in_turn(ordered, lambda one: (*_grades(one, tasks), *_looks(one)), rng)[:count]
    return tuple(_in_turn(chosen, lambda one: _grades(one, tasks), rng))


def _grades(photograph: LabelledPhotograph, tasks: Sequence[Task]) -> tuple[str, ...]:
    return str(photograph.source_csv), *(str(photograph.grades.get(task.name)) for task in tasks)


def _looks(photograph: LabelledPhotograph) -> tuple[str, ...]:
    return tuple(photograph.extra.get(column, "") for column in _COLUMNS)


def _in_turn(
    photographs: Sequence[LabelledPhotograph],
    stratum_of: Callable[[LabelledPhotograph], tuple[str, ...]],
    rng: np.random.Generator,
) -> list[LabelledPhotograph]:
    """All of them: one of each stratum, then another of each, and so on while they last."""
    strata: defaultdict[tuple[str, ...], list[LabelledPhotograph]] = defaultdict(list)
    for photograph in photographs:
        strata[stratum_of(photograph)].append(photograph)
    queues = []
    for stratum in sorted(strata):
        members = strata[stratum]
        queues.append(deque(members[index] for index in rng.permutation(len(members))))
    waiting = deque(queues[index] for index in rng.permutation(len(queues)))
    taken = []
    while waiting:
        queue = waiting.popleft()
        taken.append(queue.popleft())
        if queue:
            waiting.append(queue)
    return taken
