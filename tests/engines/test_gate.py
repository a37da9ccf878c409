import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes.tiny_graph import TASKS, labelled, squares

import engines.gate
from calibration.quantize import quantize
from calibration.ranges import measure_ranges
from engines.build import build_float, build_int8
from engines.gate import Gate, GateLimits, judge, load_limits
from engines.targets import load_target
from sall_edge.artifacts import OnnxModel, QdqModel
from sall_edge.errors import BuildError, GateRefused
from sall_edge.fundus.prepared_set import PreparedSet

COUNT = 200
POINTS = {task.name: 0.4 for task in TASKS}


def _probs(count: int = COUNT, seed: int = 0) -> dict[str, np.ndarray]:
    """Probabilities that lean towards the labels of `labelled`."""
    rng = np.random.default_rng(seed)
    made = {}
    for task in TASKS:
        logits = (
            rng.normal(size=(count, len(task.grades)))
            + 2 * np.eye(len(task.grades))[np.arange(count) % len(task.grades)]
        )
        powers = np.exp(logits)
        made[task.name] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return made


def _judged(after: dict[str, np.ndarray], limits: GateLimits | None = None):
    return judge(
        labelled(COUNT), TASKS, POINTS, _probs(), after, limits or GateLimits(name="test"), images_sha256="0" * 64
    )


def _with_dr(rows: int, probs: list[float]) -> dict[str, np.ndarray]:
    """What FP32 says, but for the first photographs that it refers."""
    after = {name: values.copy() for name, values in _probs().items()}
    referred = np.flatnonzero(after["dr"][:, TASKS[0].referable_from :].sum(axis=1) >= POINTS["dr"])
    after["dr"][referred[:rows]] = probs
    return after


def test_an_engine_that_says_the_same_passes_and_changes_nothing() -> None:
    report = _judged(_probs())
    assert report.is_passed
    assert report.changed == ()
    for gate in report.tasks.values():
        assert gate.grade_agreement == 1.0
        assert gate.fp32 == gate.engine
        assert all((change.value, change.low, change.high) == (0, 0, 0) for change in gate.change.values())


def test_lost_referrals_are_counted_named_first_and_refused() -> None:
    healthy = [1.0] + [0.0] * (len(TASKS[0].grades) - 1)
    after = _with_dr(3, healthy)
    gained = int(np.flatnonzero(_probs()["dr"][:, TASKS[0].referable_from :].sum(axis=1) < POINTS["dr"])[0])
    after["dr"][gained] = healthy[::-1]
    report = _judged(after)
    assert [one.is_lost for one in report.changed] == [True, True, True, False]
    assert report.changed[0].engine_probs == tuple(healthy)
    assert report.changed[0].fp32_probs == pytest.approx(tuple(_probs()["dr"][int(Path(report.changed[0].image).stem)]))
    assert report.tasks["dr"].lost_referrals == 3 / COUNT
    assert any("3 of 200 referrals lost (1.50%), at most 0.30%" in sentence for sentence in report.refusals)
    assert not any(sentence.startswith("amd") for sentence in report.refusals)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("grade_agreement", "keep their grade"),
        ("lost_referrals", "referrals lost"),
        ("gained_referrals", "referrals gained"),
        ("referable_auc_kept", "of the referable AUC is kept"),
        ("kappa_loss", "quadratic weighted kappa falls"),
        ("sensitivity_loss", "sensitivity falls"),
        ("specificity_loss", "specificity falls"),
    ],
)
def test_each_limit_alone_refuses_an_engine_that_grades_by_chance(limit: str, words: str) -> None:
    shares = {"grade_agreement", "referable_auc_kept"}
    loose = {
        name: 0.0 if name in shares else 1.0 for name in GateLimits.model_fields if not name.startswith(("na", "le"))
    }
    limits = GateLimits(name="one", **{**loose, limit: 1.0 if limit in shares else 0.0})
    shuffled = {name: np.random.default_rng(1).permutation(values) for name, values in _probs().items()}
    report = _judged(shuffled, limits)
    assert {sentence.split(": ", 1)[0] for sentence in report.refusals} <= {"dr", "amd"}
    assert report.refusals
    assert all(words in sentence for sentence in report.refusals)


def test_a_fall_of_one_in_a_hundred_is_no_more_than_one_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = engines.gate.measure_change

    def measure_change(*arguments, **options):
        found = honest(*arguments, **options)
        return {**found, "sensitivity": found["sensitivity"].model_copy(update={"value": 0.89 - 0.90})}

    monkeypatch.setattr(engines.gate, "measure_change", measure_change)
    assert 0.90 - 0.89 > 0.01  # in binary
    assert _judged(_probs(), GateLimits(name="one", sensitivity_loss=0.01)).is_passed
    assert not _judged(_probs(), GateLimits(name="less", sensitivity_loss=0.0099)).is_passed


def test_too_few_labels_are_a_refusal_and_not_a_pass() -> None:
    probs = _probs()
    report = judge(
        labelled(COUNT, is_labelled=False), TASKS, POINTS, probs, probs, GateLimits(name="test"), images_sha256="0" * 64
    )
    assert report.tasks["dr"].fp32 is None
    assert "dr: 0 labelled photographs decide nothing, at least 100" in report.refusals
    assert "dr: 0 referable photographs decide nothing, at least 10" in report.refusals


def test_the_limits_that_ship_are_the_defaults_of_the_code() -> None:
    assert load_limits("clinical") == GateLimits(name="clinical")


def test_limits_of_ones_own_are_a_file(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('name = "own"\nlost_referrals = 0.0\n', encoding="utf-8")
    assert load_limits(path).lost_referrals == 0
    with pytest.raises(BuildError, match="there is no set of limits lenient"):
        load_limits("lenient")
    path.write_text('name = "own"\nlost = 0.0\n', encoding="utf-8")
    with pytest.raises(BuildError, match="lost: Extra inputs"):
        load_limits(path)


@pytest.fixture
def gate() -> Gate:
    """As many photographs as the limits ask for."""
    count = 120
    prepared = PreparedSet(photographs=labelled(count), squares=squares(count, seed=0), failures=())
    return Gate(prepared=prepared, limits=GateLimits(name="strict"))


def test_a_passed_engine_carries_its_report(model: OnnxModel, gate: Gate, tmp_path: Path) -> None:
    refused = tmp_path / "engine.gate.json"
    refused.write_text("of an earlier build", encoding="utf-8")
    engine = build_float(model, load_target("openvino-cpu"), tmp_path / "engine", gate=gate)
    report = json.loads((engine.path / "gate.json").read_text(encoding="utf-8"))
    assert report["refusals"] == []
    assert report["tasks"]["dr"]["grade_agreement"] == 1.0
    assert engine.manifest.provenance["gate"] == "passed strict on 120 photographs"
    assert "gate.json" in engine.manifest.files
    assert not refused.exists()


def test_an_engine_without_a_gate_says_that_nobody_judged_it(fp32_engine) -> None:
    assert fp32_engine.manifest.provenance["gate"] == "not judged"


def test_a_refused_engine_is_never_there_and_its_report_is(
    model: OnnxModel, qdq: QdqModel, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, place = load_target("openvino-cpu"), tmp_path / "engine"
    before = build_float(model, target, place)
    honest = engines.gate.predict_all
    calls = []

    def turned(session, squares, **options):
        """The engine, which is asked first, takes the mildest grade for the worst."""
        calls.append(session)
        probs = honest(session, squares, **options)
        return {name: values[:, ::-1] for name, values in probs.items()} if len(calls) == 1 else probs

    monkeypatch.setattr(engines.gate, "predict_all", turned)
    with pytest.raises(GateRefused, match="is not shown to keep FP32's verdicts") as refusal:
        build_int8(model, qdq, target, place, gate=gate)
    report = json.loads((tmp_path / "engine.gate.json").read_text(encoding="utf-8"))
    assert all(sentence in refusal.value.why for sentence in report["refusals"])
    assert {one["task"] for one in report["changed"]} <= {task.name for task in TASKS}
    # What stood in the place before is untouched.
    assert json.loads((place / "manifest.json").read_text(encoding="utf-8"))["precision"] == before.manifest.precision
    assert sorted(path.name for path in tmp_path.iterdir()) == ["engine", "engine.gate.json"]


@pytest.mark.parametrize("is_honest", [True, False])
def test_an_engine_calibrated_on_another_preparation_is_stopped(
    is_honest: bool, model: OnnxModel, gate: Gate, tmp_path: Path
) -> None:
    """Squares whose background was taken away to grey, as is usual for retinas elsewhere, narrow the first range."""
    shown = squares(32, seed=1)
    ranges = measure_ranges(model, shown if is_honest else 120 + shown // 16)
    quantized = quantize(model, ranges, tmp_path / "qdq.onnx")
    # The AUC of random labels moves by a rank or two.
    fair = replace(gate, limits=GateLimits(name="fair", referable_auc_kept=0.99))
    if is_honest:
        build_int8(model, quantized, load_target("openvino-cpu"), tmp_path / "engine", gate=fair)
    else:
        with pytest.raises(GateRefused, match=r"dr: .* keep their grade, at least 99\.00%"):
            build_int8(model, quantized, load_target("openvino-cpu"), tmp_path / "engine", gate=fair)
    assert (tmp_path / "engine").exists() is is_honest
