from pathlib import Path

import numpy as np
import pytest
from fakes.tiny_graph import squares

from sall_edge.artifacts import Engine
from sall_edge.errors import ArtefactForeign
from sall_edge.runtime.onnxruntime import open_runner
from sall_edge.runtime.session import open_session


def test_a_batch_is_the_same_as_its_squares_one_by_one(onnxruntime_engine: Engine) -> None:
    images = squares(3, seed=4)
    with open_session(onnxruntime_engine, threads=1) as session:
        together = session.run_batch(images)
        for index, image in enumerate(images):
            np.testing.assert_allclose(session.run(image).probs["dr"], together.probs["dr"][index], atol=1e-5)


def test_an_int8_graph_is_computed_as_it_is_written(onnxruntime_engine: Engine) -> None:
    """Unfused, each Q/DQ pair rounds and floats do the rest: that is ONNX Runtime with every optimisation off."""
    import onnxruntime as ort

    images = squares(4, seed=5)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = ort.InferenceSession(str(onnxruntime_engine.blob_path), options, providers=["CPUExecutionProvider"])
    (wanted,) = plain.run(["dr_probs"], {"image": images})
    with open_session(onnxruntime_engine) as session:
        np.testing.assert_allclose(session.run_batch(images).probs["dr"], wanted, atol=1e-6)


def test_a_graph_that_it_cannot_read_is_refused_with_what_to_do(onnxruntime_engine: Engine, tmp_path: Path) -> None:
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(b"no graph")
    with pytest.raises(ArtefactForeign) as error:
        open_runner(graph, onnxruntime_engine.manifest, threads=1)
    assert "cannot open" in error.value.what
    assert "backend_version" in error.value.fix


def test_the_copy_comes_before_the_run(onnxruntime_engine: Engine) -> None:
    runner = open_runner(onnxruntime_engine.blob_path, onnxruntime_engine.manifest, threads=1)
    runner.infer(squares(2, seed=1)[:, ::-1])
    assert 0 < runner.times.began < runner.times.copied < runner.times.computed
