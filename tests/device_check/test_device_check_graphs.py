import sys

import numpy as np
import pytest

from benchmarks.device_check import builds, graphs
from benchmarks.device_check.order import Arm, Order
from sall_edge.artifacts import open_engine
from sall_edge.bench.accuracy.metrics import referable_probability
from sall_edge.errors import BackendMissing
from sall_edge.runtime.session import open_session
from sall_edge.spec import Precision


@pytest.fixture
def empty(tmp_path, monkeypatch) -> Order:
    """Before anything was made; the network is the smallest that timm has."""
    (tmp_path / "empty").mkdir()
    for name, value in (("BACKBONE", "mobilenetv3_small_050"), ("SIDE_PX", 64), ("CALIBRATION_COUNT", 16)):
        monkeypatch.setattr(graphs, name, value)
    monkeypatch.setattr(graphs, "PHANTOM_SIDE_PX", 256)
    return Order(work=tmp_path / "empty", photographs=10)


@pytest.mark.slow
def test_a_network_of_our_own_refers_half_of_the_phantoms(empty, found) -> None:
    findings, read = found
    graphs.make_graphs(empty, findings)
    subject, facts = empty.subject, read()
    assert facts["graphs"] == ["fp16.onnx", "model.onnx", "qdq-fp16.onnx", "qdq.onnx"]
    assert facts["fp16"] == "made from model.onnx"
    assert facts["int8_fp16"] == "made from qdq.onnx"
    assert subject.origin == "mobilenetv3_small_050, untrained, seed 0: its verdicts mean nothing"
    assert empty.squares.shape == (10, 64, 64, 3)
    assert {task.name for task in subject.tasks} == set(subject.operating_points) == {"dr", "amd"}
    builds.build(empty, Arm.CPU, Precision.FP32, findings)
    with open_session(open_engine(empty.bundle(Arm.CPU, Precision.FP32))) as session:
        probs = session.run_batch(empty.squares).probs
    for task in subject.tasks:
        scores = referable_probability(probs[task.name], task)
        assert np.count_nonzero(scores >= subject.operating_points[task.name]) == 5
        assert np.ptp(scores) > 0.001  # rounding has something to move


def test_without_torch_a_bundle_is_asked_for(empty, found, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BackendMissing, match="without torch this machine cannot make a network of its own") as error:
        graphs.make_graphs(empty, found[0])
    assert error.value.fix == "give a bundle that was made elsewhere: make device-check ENGINE=path/to/bundle"


def test_a_bundle_gives_its_graphs_its_tasks_and_its_operating_points(empty, found, int8_engine) -> None:
    findings, read = found
    order = empty.model_copy(update={"engine": int8_engine.path})
    graphs.make_graphs(order, findings)
    manifest = int8_engine.manifest
    assert order.subject.operating_points == manifest.operating_points
    assert order.subject.tasks == manifest.tasks
    assert order.subject.origin.startswith("a bundle for openvino-cpu, int8, by ")
    assert read()["graphs"] == ["fp16.onnx", "model.onnx", "qdq-fp16.onnx", "qdq.onnx"]
    for name in ("model.onnx", "qdq.onnx"):
        assert (order.graphs / name).read_bytes() == (int8_engine.path / name).read_bytes()
