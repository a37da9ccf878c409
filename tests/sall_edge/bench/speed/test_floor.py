"""The floor computes what the product computes, with nothing of the product around it."""

from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest

from sall_edge.artifacts import Engine
from sall_edge.bench.speed.floor import Floor, bare_request, without_request
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.runtime.session import ServedBy, Session, open_session
from sall_edge.spec import Backend, Precision


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    drawn = draw_phantom(np.random.default_rng(3), side_px=512, dr_grade=0, amd_grade=0, eye="R")
    cv2.imwrite(str(tmp_path / "eye.jpg"), drawn.pixels)
    return tmp_path / "eye.jpg"


@pytest.mark.parametrize(("denominator", "side"), [(1, 512), (2, 256), (4, 128), (8, 64)])
def test_the_decode_is_at_the_scale_that_the_product_decodes_at(
    photograph: Path, denominator: int, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode, decoded = cv2.imdecode, []
    monkeypatch.setattr(cv2, "imdecode", lambda *given: decoded.append(decode(*given)))
    times = Floor(None).measure(photograph, denominator)
    assert [pixels.shape[:2] for pixels in decoded] == [(side, side)]
    assert times.decode_ms > 0
    assert (times.infer_ms, times.total_ms) == (None, None)


def test_the_total_is_the_decode_and_the_request(photograph: Path) -> None:
    asked: list[None] = []
    times = Floor(lambda: asked.append(None)).measure(photograph, 2)
    assert len(asked) == 1
    assert times.infer_ms is not None
    assert times.total_ms == times.decode_ms + times.infer_ms


def test_opencvs_log_speaks_again_afterwards(photograph: Path) -> None:
    before = cv2.utils.logging.getLogLevel()
    Floor(None).measure(photograph, 8)
    assert cv2.utils.logging.getLogLevel() == before


def test_the_bare_request_has_the_sessions_outputs_hints_and_threads(
    tiny_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = tiny_engine.manifest.image.side_px
    square = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    compiled: list[ov.CompiledModel] = []
    compile_model = ov.Core.compile_model

    def kept(*given: object) -> ov.CompiledModel:
        compiled.append(compile_model(*given))
        return compiled[-1]

    with open_session(tiny_engine) as session:
        wanted = session.run(square)
        monkeypatch.setattr(ov.Core, "compile_model", kept)
        request = bare_request(session, square)
        assert request is not None
        done = request()
        ours = session._open_runner()._compiled
    (bare,) = compiled
    for name in ("PERFORMANCE_HINT", "INFERENCE_PRECISION_HINT", "INFERENCE_NUM_THREADS", "NUM_STREAMS"):
        assert bare.get_property(name) == ours.get_property(name)
    assert done is None
    assert {output.any_name for output in bare.outputs} >= {f"{task}_probs" for task in wanted.probs}


def test_another_backend_has_no_bare_request(tiny_engine: Engine) -> None:
    class Runner:
        """Only what a session looks at when it opens."""

        version, streams = "0", 1

    served_by = ServedBy(backend=Backend.ONNXRUNTIME, precision=Precision.INT8)
    session = Session(engine=tiny_engine, runner=Runner(), served_by=served_by)
    assert bare_request(session, np.zeros((64, 64, 3), np.uint8)) is None
    assert without_request(Backend.ONNXRUNTIME) == "none: onnxruntime has no bare request here"
