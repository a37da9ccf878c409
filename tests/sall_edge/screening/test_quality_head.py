import numpy as np
import pytest

from sall_edge.screening.quality_head import quality_head_of
from sall_edge.spec import Role, Task

DISEASE = Task(name="dr", title="DR", column="dr", grades=("none", "mild"), referable_from=1)
QUALITY = Task(
    name="fit", title="Quality", column="q", grades=("good", "impaired", "reject"), referable_from=2, role=Role.QUALITY
)
POINTS = {"dr": 0.9, "fit": 0.2}


def test_an_engine_without_a_quality_task_has_no_opinion() -> None:
    assert quality_head_of([DISEASE], POINTS) is None


def test_the_role_makes_the_head_and_not_the_name() -> None:
    head = quality_head_of([DISEASE, QUALITY], POINTS)
    assert head is not None
    assert (head.task.name, head.operating_point) == ("fit", 0.2)


def test_an_impaired_photograph_is_not_one_that_must_not_be_graded() -> None:
    head = quality_head_of([QUALITY], POINTS)
    assert head is not None
    probs = {"fit": np.array([0.125, 0.75, 0.125], np.float32)}
    assert head.probability(probs) == 0.125
    assert not head.refuses(head.probability(probs))


@pytest.mark.parametrize("point", [0.01, 0.2, 0.98])
def test_the_score_falls_with_the_probability_and_is_a_half_at_the_operating_point(point: float) -> None:
    head = quality_head_of([QUALITY], {"fit": point})
    assert head is not None
    scores = [head.score(probability) for probability in np.linspace(0, 1, 501)]
    assert scores == sorted(scores, reverse=True)
    assert (scores[0], scores[-1]) == (1, 0)
    assert head.score(point) == pytest.approx(0.5)
    assert all((head.score(p) <= 0.5) is head.refuses(p) for p in np.linspace(0, 1, 501))
