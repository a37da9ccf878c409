import numpy as np
import pytest

from sall_edge.spec import Task
from trainer.comparison import Answers, Comparison, TestSet, compared

TASK = Task(name="dr", title="DR", column="dr_grade", grades=("none", "mild", "severe"), referable_from=1)
SEEDS = (0, 1)
N = 120


@pytest.fixture
def test_set() -> TestSet:
    grades = np.random.default_rng(0).integers(0, 3, N)
    grades[:10] = -1
    return TestSet(
        grades={"dr": grades},
        patients=[f"p{i // 2}" for i in range(N)],
        sources=["first" if i < 80 else "second" for i in range(N)],
    )


def answers(test: TestSet, *, noise: float, seed: int) -> Answers:
    """Right answers under noise."""
    rng = np.random.default_rng(seed)
    logits = 4 * np.eye(3)[np.maximum(test.grades["dr"], 0)] + rng.normal(scale=noise, size=(N, 3))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Answers(probs={"dr": probs})


def comparison(test: TestSet, **noise: float) -> Comparison:
    given = {
        (name.replace("_", "-"), seed): answers(test, noise=amount, seed=10 * seed + len(name))
        for name, amount in noise.items()
        for seed in SEEDS
    }
    return compared([TASK], test, given, rng=np.random.default_rng(1), rounds=200)


def test_rows_are_methods_on_the_whole_split_and_on_each_data_set(test_set: TestSet) -> None:
    rows = comparison(test_set, single=2.0, sall=1.0).rows
    assert [(row.source, row.method, row.n) for row in rows] == [
        ("all", "single", 110), ("all", "sall", 110),
        ("first", "single", 70), ("first", "sall", 70),
        ("second", "single", 40), ("second", "sall", 40),
    ]  # fmt: skip


def test_mean_and_spread_are_those_of_the_seeds(test_set: TestSet) -> None:
    row = comparison(test_set, single=3.0).rows[0]
    accuracies = row.values["accuracy"]
    assert len(accuracies) == len(SEEDS)
    assert row.mean["accuracy"] == pytest.approx(np.mean(accuracies))
    assert row.sd["accuracy"] == pytest.approx(np.std(accuracies, ddof=1))


def test_a_clearly_better_method_has_an_interval_above_zero(test_set: TestSet) -> None:
    rows = {row.method: row for row in comparison(test_set, single=6.0, multitask=6.0, sall=1.0).rows[:3]}
    for rival in ("single", "multitask"):
        gain = rows["sall"].against[rival]["quadratic_weighted_kappa"]
        assert 0 < gain.low < gain.value < gain.high
    assert "single" not in rows["single"].against
    loss = rows["multitask"].against["single"]["quadratic_weighted_kappa"]
    assert loss.low < 0 < loss.high


def test_the_same_answers_differ_by_nothing(test_set: TestSet) -> None:
    given = {(method, 0): answers(test_set, noise=2.0, seed=5) for method in ("single", "sall")}
    rows = compared([TASK], test_set, given, rng=np.random.default_rng(0), rounds=50).rows
    gap = rows[1].against["single"]["referable_auc"]
    assert (gap.value, gap.low, gap.high) == (0, 0, 0)
    assert rows[0].sd == {}


def test_patients_are_drawn_whole(test_set: TestSet) -> None:
    # Both eyes of a patient alike: the interval is that of half as many photographs, so it is wider.
    alone = TestSet(grades=test_set.grades, patients=[str(i) for i in range(N)], sources=test_set.sources)
    widths = []
    for test in (alone, test_set):
        grades = {"dr": np.repeat(test_set.grades["dr"][::2], 2)}
        paired = TestSet(grades=grades, patients=test.patients, sources=["one"] * N)
        given = {}
        for method, noise in (("single", 3.0), ("sall", 2.0)):
            probs = np.repeat(answers(paired, noise=noise, seed=3).probs["dr"][::2], 2, axis=0)
            given[method, 0] = Answers(probs={"dr": probs})
        gap = compared([TASK], paired, given, rng=np.random.default_rng(0), rounds=400).rows[1].against["single"]
        widths.append(gap["accuracy"].high - gap["accuracy"].low)
    assert widths[1] > 1.1 * widths[0]


def test_metrics_that_the_labels_leave_undefined_are_missing(test_set: TestSet) -> None:
    healthy = TestSet(grades={"dr": np.zeros(N, int)}, patients=test_set.patients, sources=["one"] * N)
    row = compared(
        [TASK],
        healthy,
        {("sall", 0): answers(healthy, noise=1.0, seed=0)},
        rng=np.random.default_rng(0),
        rounds=20,
    ).rows[0]
    assert "referable_auc" not in row.mean
    assert row.mean["accuracy"] > 0.9


def test_a_task_without_labels_has_no_rows(test_set: TestSet) -> None:
    unknown = TestSet(grades={"dr": np.full(N, -1)}, patients=test_set.patients, sources=test_set.sources)
    given = {("sall", 0): answers(test_set, noise=1.0, seed=0)}
    assert compared([TASK], unknown, given, rng=np.random.default_rng(0), rounds=20).rows == ()
