from collections.abc import Mapping

import numpy as np
import pytest
from fakes.tiny_graph import TASKS, squares

import engines.verify
from engines.probes import Probes
from engines.verify import Difference, allowed_difference, verify
from sall_edge.artifacts import Engine
from sall_edge.errors import GateRefused
from sall_edge.runtime.session import Session
from sall_edge.spec import Precision

COUNT = 12
ROUNDING = 0.012


class _Answers:
    """A runner that answers the n-th question with the n-th row."""

    version = "2"
    streams = 1

    def __init__(self, probs: Mapping[str, np.ndarray], cam: float = 0.0) -> None:
        self.probs, self.cam, self.asked = probs, cam, 0

    def infer(self, images: np.ndarray) -> dict[str, np.ndarray]:
        row = slice(self.asked, self.asked + 1)
        self.asked += 1
        outputs = {f"{name}_probs": probs[row] for name, probs in self.probs.items()}
        return outputs | {f"{name}_cam": np.full((1, 4, 4), self.cam, np.float32) for name in self.probs}

    def close(self) -> None:
        pass


def _probs(referable: np.ndarray) -> dict[str, np.ndarray]:
    made = {}
    for task in TASKS:
        probs = np.zeros((len(referable), len(task.grades)), np.float32)
        probs[:, 0], probs[:, -1] = 1 - referable, referable
        made[task.name] = probs
    return made


FP32 = np.linspace(0.05, 0.95, COUNT)  # operating points are 0.4 and 0.6


@pytest.fixture
def probes() -> Probes:
    return Probes(squares=squares(COUNT, seed=0), fp32=_probs(FP32), judged=_probs(FP32 - ROUNDING))


@pytest.fixture
def verified(int8_engine: Engine, probes: Probes, monkeypatch: pytest.MonkeyPatch):
    def run(probs: dict[str, np.ndarray], cam: float = 0.0):
        runner = _Answers(probs, cam)
        monkeypatch.setattr(engines.verify, "open_session", lambda engine: Session(engine=engine, runner=runner))
        return verify(int8_engine, probes)

    return run


def test_the_judged_answers_are_right_and_so_is_another_rounding_of_their_size(verified) -> None:
    found = verified(_probs(FP32 - ROUNDING))
    assert found.probes == COUNT
    assert found.found == found.judged
    assert found.allowed.largest == pytest.approx(4 * ROUNDING, rel=1e-4)
    assert found.allowed.mean == pytest.approx(3 * found.judged.mean, rel=1e-4)
    assert verified(_probs(FP32 + ROUNDING)).found.largest == pytest.approx(ROUNDING, abs=1e-6)


def test_a_shift_that_loses_no_referral_is_found_by_its_mean(verified) -> None:
    def moved(times: float) -> dict[str, np.ndarray]:
        return _probs(np.where(np.arange(COUNT) == 7, FP32, FP32 - times * ROUNDING))  # the eighth would cross 0.6

    assert 2.9 * ROUNDING < verified(moved(3.2)).found.largest < 4 * ROUNDING
    with pytest.raises(GateRefused) as refusal:
        verified(moved(3.5))
    (reason,) = refusal.value.reasons
    assert reason.startswith("the mean difference of a probability from FP32 is ")


def test_every_lost_referral_is_named_and_lost_ones_come_first(verified) -> None:
    now = FP32.copy()
    now[10], now[0] = 0.1, 0.9
    with pytest.raises(GateRefused, match="does not decide as the one that was judged") as refusal:
        verified(_probs(now))
    reasons = refusal.value.reasons
    assert reasons[0] == (
        "dr: probe 11: referral lost, P(referable) 0.856 when judged (FP32 0.868), 0.100 now, referable from 0.400"
    )
    assert reasons[1].startswith("dr: probe 1: referral gained")
    assert reasons[2].startswith("amd: probe 11: referral lost")
    assert reasons[-2] == (
        "the largest difference of a probability from FP32 is 0.8500, allowed is 0.0480 (when judged 0.0120)"
    )
    assert reasons[-1].startswith("the mean difference of a probability from FP32 is ")
    assert "the old bundle stays and the CPU serves it" in refusal.value.fix


def test_a_referral_that_moves_within_the_allowed_difference_is_a_refusal_all_the_same(
    int8_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = np.full(COUNT, 0.405)
    runner = _Answers(_probs(near - 0.01))
    monkeypatch.setattr(engines.verify, "open_session", lambda engine: Session(engine=engine, runner=runner))
    probes = Probes(squares=squares(COUNT, seed=0), fp32=_probs(near), judged=_probs(near + 0.01))
    with pytest.raises(GateRefused) as refusal:
        verify(int8_engine, probes)
    assert len(refusal.value.reasons) == COUNT
    assert refusal.value.why.endswith(f"and {COUNT - 5} more")


def test_where_fp32_and_the_judged_engine_disagree_either_answer_will_do(
    int8_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    probes = Probes(
        squares=squares(COUNT, seed=0), fp32=_probs(np.full(COUNT, 0.405)), judged=_probs(np.full(COUNT, 0.395))
    )
    for now in (0.401, 0.399):
        runner = _Answers(_probs(np.full(COUNT, now)))
        monkeypatch.setattr(engines.verify, "open_session", lambda engine, r=runner: Session(engine=engine, runner=r))
        assert verify(int8_engine, probes).probes == COUNT


def test_outputs_that_are_no_numbers_or_no_probabilities_are_refused(verified) -> None:
    broken = _probs(FP32)
    broken["amd"][3] = np.nan
    with pytest.raises(GateRefused) as refusal:
        verified(broken)
    assert refusal.value.reasons[0] == "amd: probe 4 has outputs that are not finite"
    with pytest.raises(GateRefused, match="dr: probe 1 has outputs that are not finite"):
        verified(_probs(FP32), cam=np.inf)
    broken = _probs(FP32)
    broken["dr"][5] *= 0.99
    with pytest.raises(GateRefused, match=r"dr: probe 6 has probabilities that sum to 0\.9900"):
        verified(broken)


def test_the_allowed_difference_follows_the_judged_engine_and_has_a_floor_for_each_precision() -> None:
    exact = Difference(largest=0, mean=0)
    floors = {precision: allowed_difference(exact, precision) for precision in Precision}
    assert floors[Precision.FP32] == Difference(largest=1e-3, mean=1e-4)
    assert floors[Precision.FP16] == floors[Precision.INT8] == Difference(largest=2e-2, mean=2e-3)
    far = allowed_difference(Difference(largest=0.1, mean=0.01), Precision.FP32)
    assert far == Difference(largest=pytest.approx(0.4), mean=pytest.approx(0.03))


def test_progress_counts_the_probes(int8_engine: Engine, probes: Probes, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = _Answers(_probs(FP32))
    monkeypatch.setattr(engines.verify, "open_session", lambda engine: Session(engine=engine, runner=runner))
    steps: list[None] = []
    verify(int8_engine, probes, advance=lambda: steps.append(None))
    assert len(steps) == COUNT
