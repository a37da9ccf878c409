"""On phantoms and an untrained network: that a limit holds, and what a bundle takes along. Not what it recognises."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes.tiny_graph import labelled, squares

from calibration.graphs import load_proto, open_onnx_model, write_graph
from engines import build
from engines.build import build_float, build_int8
from engines.familiarity import Training, conformal_limit, fit_cloud, fit_familiarity, least_validation
from engines.gate import Gate
from engines.rebuild import rebuild
from engines.targets import load_target
from sall_edge.artifacts import FEATURES, Engine, OnnxModel, QdqModel
from sall_edge.fundus.labels import read_labels
from sall_edge.fundus.prepared_set import PreparedSet, prepare_set
from sall_edge.runtime.familiar_retinas import FamiliarityFile, FittedOn, retinas_from_file
from sall_edge.runtime.session import open_session
from sall_edge.spec import Precision, TaskSet

AIM = 0.1
"""So that a few phantoms give a limit."""
REPEATS = 400
SHARE_TOLERANCE = 0.0025
"""Of the mean share: four of its standard errors."""
FITTED_ON = FittedOn(photographs=0, left_out=0, images_sha256="")


@pytest.fixture(scope="module")
def phantoms(phantom_labels: Path, tiny_model: OnnxModel) -> PreparedSet:
    photographs = read_labels([phantom_labels], TaskSet(tasks=tiny_model.manifest.tasks))
    return prepare_set(photographs, tiny_model.manifest.image)


@pytest.fixture(scope="module")
def familiar_engine(
    tiny_model: OnnxModel,
    tiny_qdq: QdqModel,
    phantoms: PreparedSet,
    gate_of: Callable[[int], Gate],
    tmp_path_factory: pytest.TempPathFactory,
) -> Engine:
    """Learnt on phantoms, limited on their mirror images, one of them black."""
    place = tmp_path_factory.mktemp("familiar") / "engine"
    return build_int8(
        tiny_model,
        tiny_qdq,
        load_target("openvino-cpu"),
        place,
        gate=_mirrored(phantoms, gate_of),
        training=Training(prepared=phantoms, aim=AIM),
    )


def _mirrored(phantoms: PreparedSet, gate_of: Callable[[int], Gate]) -> Gate:
    mirrored = np.ascontiguousarray(phantoms.squares[:, :, ::-1])
    mirrored[0] = 0
    prepared = PreparedSet(photographs=phantoms.photographs, squares=mirrored, failures=())
    return Gate(prepared=prepared, limits=gate_of(4).limits.model_copy(update=_NOTHING_ASKED), probes=4)


_NOTHING_ASKED = {"least_photographs": 1, "least_referable": 1, "kappa_loss": 2, "specificity_loss": 1}


def test_a_cloud_is_wide_where_its_photographs_are() -> None:
    rng = np.random.default_rng(0)
    widths = np.full(40, 0.1)
    widths[:2] = 5.0
    drawn = rng.normal(size=(400, 40)) * widths + 3
    file = FamiliarityFile(limit=1, aim=AIM, training=FITTED_ON, validation=FITTED_ON, **fit_cloud(drawn[:300]))
    retinas = retinas_from_file(file)
    others = [retinas.distance(features.astype(np.float32)) for features in drawn[300:]]
    assert np.mean(others) == pytest.approx(1, abs=0.1)
    along, across = np.full((2, 40), 3, np.float32)
    along[0] += 5
    across[20] += 5
    assert retinas.distance(along) < 1 < 5 < retinas.distance(across)


def test_features_that_never_change_make_a_cloud_all_the_same() -> None:
    file = FamiliarityFile(
        limit=1, aim=AIM, training=FITTED_ON, validation=FITTED_ON, **fit_cloud(np.ones((40, 8), np.float32))
    )
    assert retinas_from_file(file).distance(np.ones(8, np.float32)) == 0


@pytest.mark.parametrize(("count", "aim"), [(99, 0.01), (150, 0.01), (40, 0.05), (289, 0.05)])
def test_others_exceed_a_limit_as_often_as_was_aimed_at(count: int, aim: float) -> None:
    draws = np.random.default_rng(0).exponential(size=(REPEATS, count))
    shares = [np.exp(-conformal_limit(distances, aim)) for distances in draws]  # of all others, exactly
    assert aim - 1 / (count + 1) - SHARE_TOLERANCE <= np.mean(shares) <= aim + SHARE_TOLERANCE


def test_too_few_distances_give_no_limit() -> None:
    assert (least_validation(0.01), least_validation(0.05)) == (99, 19)
    assert conformal_limit(np.arange(99.0), 0.01) == 98
    with pytest.raises(ValueError, match=r"98 distances give no limit for 0.01: at least 99 do"):
        conformal_limit(np.arange(98.0), 0.01)


def test_an_engine_takes_along_what_is_familiar_to_it(familiar_engine: Engine, phantoms: PreparedSet) -> None:
    told = familiar_engine.manifest.provenance["familiarity"]
    count = len(phantoms.squares)
    pixels = hashlib.sha256(np.ascontiguousarray(phantoms.squares).tobytes()).hexdigest()
    assert told["training"] == {"photographs": count, "left_out": 0, "images_sha256": pixels}
    assert (told["validation"]["photographs"], told["validation"]["left_out"]) == (count - 1, 1)  # not the black one
    assert "familiarity.json" in familiar_engine.manifest.files
    file = json.loads((familiar_engine.path / "familiarity.json").read_text(encoding="utf-8"))
    assert (file["limit"], file["aim"]) == (told["limit"], AIM)


def test_the_limit_lies_in_the_engines_own_features(familiar_engine: Engine, phantoms: PreparedSet) -> None:
    with open_session(familiar_engine) as session:
        retinas = session.familiar_retinas
        assert retinas is not None
        distances = [
            retinas.distance(session.run(np.ascontiguousarray(square[:, ::-1])).features)  # type: ignore[arg-type]
            for square in phantoms.squares[1:]
        ]
        noise = np.random.default_rng(0).integers(0, 256, phantoms.squares.shape[1:], dtype=np.uint8)
        far = session.run(noise).features
    beyond = np.mean(np.array(distances) > retinas.limit)
    assert 0 < beyond <= AIM
    assert far is not None
    assert retinas.distance(far) > retinas.limit


def test_a_rebuilt_engine_keeps_it(familiar_engine: Engine) -> None:
    before = (familiar_engine.path / "familiarity.json").read_bytes()
    new = rebuild(familiar_engine)
    assert (new.path / "familiarity.json").read_bytes() == before
    assert new.manifest.provenance["familiarity"] == familiar_engine.manifest.provenance["familiarity"]


def test_too_few_photographs_are_said_and_the_engine_is_built(
    tiny_model: OnnxModel, phantoms: PreparedSet, gate_of: Callable[[int], Gate], tmp_path: Path
) -> None:
    few = PreparedSet(photographs=phantoms.photographs[:31], squares=phantoms.squares[:31], failures=())
    for training, sentence in (
        (Training(prepared=few, aim=AIM), "none: 31 gradable training photographs are too few, 32 are the least"),
        (Training(prepared=phantoms), "none: 39 gradable validation photographs are too few, 99 are the least"),
        (None, "none: it takes photographs of the training (--calibration) and of the validation (--gate)"),
    ):
        engine = build_float(
            tiny_model,
            load_target("openvino-cpu"),
            tmp_path / "engine",
            gate=_mirrored(phantoms, gate_of),
            training=training,
        )
        assert engine.manifest.provenance["familiarity"] == sentence
        assert "familiarity.json" not in engine.manifest.files


def test_a_graph_of_an_earlier_version_is_built_and_runs_as_before(
    model: OnnxModel, gate_of: Callable[[int], Gate], tmp_path: Path
) -> None:
    proto = load_proto(model)
    (features,) = [value for value in proto.graph.output if value.name == FEATURES]
    proto.graph.output.remove(features)
    write_graph(proto, model.manifest, tmp_path / "model.onnx")
    old = open_onnx_model(tmp_path / "model.onnx")
    target = load_target("openvino-cpu")
    engine, new = (build_float(graph, target, tmp_path / name) for graph, name in ((old, "old"), (model, "new")))
    photographs = squares(3, seed=1)
    with open_session(engine) as session, open_session(new) as session_with:
        before, after = session.run_batch(photographs), session_with.run_batch(photographs)
        assert before.features is None
        assert session.run(photographs[0]).features is None
    for name, probs in before.probs.items():
        np.testing.assert_array_equal(probs, after.probs[name])


def test_its_engine_says_why_it_has_no_reference(
    model: OnnxModel, phantoms: PreparedSet, gate_of: Callable[[int], Gate], tmp_path: Path
) -> None:
    proto = load_proto(model)
    (features,) = [value for value in proto.graph.output if value.name == FEATURES]
    proto.graph.output.remove(features)
    write_graph(proto, model.manifest, tmp_path / "model.onnx")
    gate = _mirrored(PreparedSet(photographs=labelled(40), squares=phantoms.squares, failures=()), gate_of)
    engine = build_float(
        open_onnx_model(tmp_path / "model.onnx"),
        load_target("openvino-cpu"),
        tmp_path / "engine",
        precision=Precision.FP32,
        gate=gate,
        training=Training(prepared=phantoms, aim=AIM),
    )
    assert engine.manifest.provenance["familiarity"] == "none: the graph gives no features: export it again"


def test_what_the_engines_own_quality_task_refuses_is_no_part_of_it(
    judging_engine: Callable[[float], Engine], phantoms: PreparedSet
) -> None:
    with open_session(judging_engine(2.0)) as session:
        (task, _), squares = session.manifest.tasks, phantoms.squares
        probabilities = [task.referable_probability(session.run(square).probs["dr"].tolist()) for square in squares]
    engine = judging_engine(float(np.sort(probabilities)[-3]))
    fitted = fit_familiarity(engine, Training(prepared=phantoms, aim=AIM), squares)
    assert isinstance(fitted, FamiliarityFile)
    for seen in (fitted.training, fitted.validation):
        assert (seen.photographs, seen.left_out) == (len(squares) - 3, 3)


def test_photographs_of_its_own_set_the_limit_of_an_engine_that_nobody_judged(
    tiny_model: OnnxModel, tiny_qdq: QdqModel, phantoms: PreparedSet, gate_of: Callable[[int], Gate], tmp_path: Path
) -> None:
    training = Training(prepared=phantoms, aim=AIM, validation=_mirrored(phantoms, gate_of).prepared)
    engine = build_int8(tiny_model, tiny_qdq, load_target("openvino-cpu"), tmp_path / "engine", training=training)
    told = engine.manifest.provenance
    assert told["gate"] == "not judged"
    assert told["familiarity"]["validation"]["left_out"] == 1  # the black one
    assert "familiarity.json" in engine.manifest.files


def test_an_engine_that_cannot_run_here_says_that_it_has_no_reference(
    tiny_model: OnnxModel, phantoms: PreparedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = build.compile_graph
    monkeypatch.setattr(
        build, "compile_graph", lambda *asked, **of: replace(compiled(*asked, **of), not_run_because="no such card")
    )
    training = Training(prepared=phantoms, aim=AIM, validation=phantoms)
    engine = build_float(tiny_model, load_target("openvino-cpu"), tmp_path / "engine", training=training)
    assert engine.manifest.provenance["familiarity"] == "none: compiled, not run: no such card"
