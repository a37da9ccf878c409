from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes.tiny_graph import labelled, squares

import engines.gate
import engines.ladder
from engines.gate import Gate, GateLimits
from engines.ladder import Recipe, climb
from engines.targets import load_target
from sall_edge.artifacts import Engine, OnnxModel, QdqModel
from sall_edge.errors import GateRefused
from sall_edge.fundus.prepared_set import PreparedSet
from sall_edge.runtime.session import Session
from sall_edge.spec import Precision

COUNT = 120


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines.ladder, "LATENCY_S", 0.02)


@pytest.fixture
def gate() -> Gate:
    prepared = PreparedSet(photographs=labelled(COUNT), squares=squares(COUNT, seed=0), failures=())
    return Gate(prepared=prepared, limits=GateLimits(name="strict"))


class Kitchen:
    """Counts what the ladder asks for."""

    def __init__(self, qdq: QdqModel, layers: Sequence[str]) -> None:
        self.qdq, self.layers = qdq, layers
        self.kept: list[tuple[str, ...]] = []
        self.asked = 0

    def quantized(self, kept: Sequence[str]) -> QdqModel:
        self.kept.append(tuple(kept))
        return self.qdq

    def costly_layers(self) -> Sequence[str]:
        self.asked += 1
        return self.layers


@pytest.fixture
def kitchen(qdq: QdqModel) -> Kitchen:
    return Kitchen(qdq, [f"layer{n}" for n in range(10)])


@pytest.fixture
def recipe(model: OnnxModel, gate: Gate, kitchen: Kitchen) -> Recipe:
    return Recipe(
        model=model,
        target=load_target("openvino-cpu"),
        gate=gate,
        quantized=kitchen.quantized,
        costly_layers=kitchen.costly_layers,
    )


def _spoil(monkeypatch: pytest.MonkeyPatch, how_often: int) -> list[Session]:
    """The gate's first so many INT8 engines take the mildest grade for the worst; returns who is asked."""
    honest, spoilt = engines.gate.predict_all, []
    asked: list[Session] = []

    def predict_all(session, squares, **options):
        asked.append(session)
        probs = honest(session, squares, **options)
        is_engine = len(asked) != 2  # the FP32 graph is asked once, after the first engine
        if is_engine and session.manifest.precision is Precision.INT8 and len(spoilt) < how_often:
            spoilt.append(session)
            return {name: values[:, ::-1] for name, values in probs.items()}
        return probs

    monkeypatch.setattr(engines.gate, "predict_all", predict_all)
    return asked


def test_int8_that_passes_is_shipped_and_no_layer_is_measured(recipe: Recipe, kitchen: Kitchen, tmp_path: Path) -> None:
    loose = GateLimits(name="loose", grade_agreement=0, lost_referrals=1, gained_referrals=1, referable_auc_kept=0)
    loose = loose.model_copy(update={"kappa_loss": 1.0, "sensitivity_loss": 1.0, "specificity_loss": 1.0})
    found = climb(replace(recipe, gate=replace(recipe.gate, limits=loose)), tmp_path / "engine")
    assert [rung.name for rung in found.rungs] == ["int8"]
    assert found.engine.manifest.precision is Precision.INT8
    assert found.rungs[0].p50_ms is not None
    assert found.fp32_ms > 0
    assert kitchen.asked == 0


def test_refused_rungs_give_back_more_layers_and_end_with_fp32(
    recipe: Recipe, kitchen: Kitchen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _spoil(monkeypatch, how_often=100)
    told: list[str] = []
    found = climb(recipe, tmp_path / "engine", note=told.append)
    assert [rung.name for rung in found.rungs] == [
        "int8", "int8, 1 layer in float", "int8, 2 layers in float", "int8, 4 layers in float", "fp32",
    ]  # fmt: skip
    assert kitchen.kept == [(), ("layer0",), ("layer0", "layer1"), ("layer0", "layer1", "layer2", "layer3")]
    assert kitchen.asked == 1
    assert len(asked) == len(found.rungs) + 1
    assert all(rung.refusals for rung in found.rungs[:-1])
    assert all(rung.p50_ms is not None for rung in found.rungs)
    assert told == [str(rung) for rung in found.rungs]
    assert "keep their grade" in told[0]
    assert told[-1].endswith("passed")
    assert found.engine.manifest.precision is Precision.FP32
    assert found.is_worth_it
    assert [path.name for path in tmp_path.iterdir()] == ["engine"]


def test_too_few_photographs_end_the_climb_at_once(recipe: Recipe, tmp_path: Path) -> None:
    few = replace(recipe.gate, limits=GateLimits(name="many", least_photographs=10_000))
    with pytest.raises(GateRefused) as refusal:
        climb(replace(recipe, gate=few), tmp_path / "engine")
    assert refusal.value.is_undecided
    assert not (tmp_path / "engine").exists()


@pytest.mark.parametrize(("shipped_ms", "is_worth_it"), [(5.0, True), (9.5, False)])
def test_int8_that_is_hardly_faster_is_said_not_to_be_worth_it(
    int8_engine: Engine, shipped_ms: float, is_worth_it: bool
) -> None:
    rung = engines.ladder.Rung(name="int8", p50_ms=shipped_ms, refusals=())
    assert engines.ladder.Climb(engine=int8_engine, rungs=(rung,), fp32_ms=10.0).is_worth_it is is_worth_it


def test_the_gate_squares_are_what_a_rung_is_timed_on(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    seen = []
    honest = engines.ladder.measure_latency

    def measure_latency(session, squares, *, seconds):
        seen.append(squares)
        return honest(session, squares, seconds=seconds)

    monkeypatch.setattr(engines.ladder, "measure_latency", measure_latency)
    _spoil(monkeypatch, how_often=1)
    climb(recipe, tmp_path / "engine")
    assert all(np.array_equal(one, recipe.gate.prepared.squares) for one in seen)


def test_a_target_that_mixes_int8_with_fp16_gets_mixed_engines(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Precision] = []

    def build(*arguments: object, precision: Precision, **options: object) -> Engine:
        asked.append(precision)
        raise GateRefused("no", "why", "fix", reasons=("one",))

    monkeypatch.setattr(engines.ladder, "build_int8", build)
    monkeypatch.setattr(engines.ladder, "build_float", build)
    monkeypatch.setattr(engines.ladder, "_timed", lambda gate: (gate, [1.0]))
    mixed = recipe.target.model_copy(update={"precisions": (Precision.INT8_FP16, Precision.INT8, Precision.FP32)})
    notes: list[str] = []
    with pytest.raises(GateRefused):
        climb(replace(recipe, target=mixed), tmp_path / "engine", note=notes.append)
    assert asked[:2] == [Precision.INT8_FP16] * 2
    assert asked[-1] is Precision.FP32
    assert Precision.INT8 not in asked
    assert notes[0].startswith("int8-fp16 ")
