"""T6: builder, runtime, kernel and rebuild on a real GPU. `make device-check` runs these, among other things."""

import importlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.older_bundle import older
from fakes.tiny_graph import SIDE_PX, labelled, squares

from benchmarks.device_check.board import target_here
from engines.build import build_float, build_int8
from engines.compiled import CompilerOptions
from engines.gate import Gate, GateLimits
from engines.rebuild import rebuild
from engines.smoke import TOLERANCES
from engines.targets import load_target
from engines.verify import Difference, allowed_difference
from sall_edge.artifacts import Engine, OnnxModel, QdqModel, open_engine
from sall_edge.errors import ArtefactForeign, BackendMissing
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.fundus.prepare import cut_square
from sall_edge.fundus.prepared_set import PreparedSet
from sall_edge.runtime.cuda import Gpu, open_gpu
from sall_edge.runtime.cuda_graph import no_cuda_graphs, open_cuda_graphs
from sall_edge.runtime.session import open_reference, open_session
from sall_edge.runtime.tensorrt import TensorrtRunner, open_runner
from sall_edge.runtime.tensorrt_library import made, shared_logger
from sall_edge.spec import Backend, ImageSpec, Precision, TargetSpec

try:
    target_here()
except BackendMissing as missing:
    reason = f"needs a GPU, PyCUDA and TensorRT: {missing.what} ({missing.why})"
    pytest.skip(reason, allow_module_level=True)  # one line for all of them

# A warning of PyCUDA or TensorRT is theirs; it shall not hide what they compute.
pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("default")]

BATCH_TOLERANCE = 1e-4
"""Between a square alone and in a batch: a kernel may add in another order. Measured on no device yet."""

LEVEL_TOLERANCE = 1e-3
"""Of a probability: one value in a thousand may differ by a grey level between OpenCV's square and the kernel's."""

INFERENCES = 1000
CARD_GROWTH_MIB, JETSON_GROWTH_MIB = 4, 64
"""A leak of what one inference needs would be 12 MB, of one page each 2,000 MB. On a Jetson the number is the whole
system's free memory, in which files that are read are counted too."""

ROWS = 4
LENIENT = GateLimits(
    name="lenient", referable_auc_kept=0, grade_agreement=0, lost_referrals=1, gained_referrals=1, sensitivity_loss=1
)


@pytest.fixture(scope="session")
def build(
    model: OnnxModel, qdq: QdqModel, target: TargetSpec, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Precision], Engine]:
    """The engine of a precision, built once."""
    built: dict[Precision, Engine] = {}

    def build(precision: Precision) -> Engine:
        if precision not in built:
            path = tmp_path_factory.mktemp(precision.value.replace("+", "-")) / "engine"
            if precision is Precision.INT8:
                built[precision] = build_int8(model, qdq, target, path)
            else:
                built[precision] = build_float(model, target, path, precision=precision)
        return built[precision]

    return build


def _runner(engine: Engine, trt: Any, open_graphs: Callable = open_cuda_graphs) -> TensorrtRunner:
    plan = engine.blob_path.read_bytes()
    return TensorrtRunner(plan, engine.manifest, trt=trt, gpu=open_gpu(), open_graphs=open_graphs)


def _copied(outputs: Any) -> dict[str, np.ndarray]:
    return {name: values.copy() for name, values in outputs.items()}


def _difference(engine: Engine) -> Difference:
    pixels = squares(32, seed=5)
    with open_session(engine) as session, open_reference(engine) as reference:
        got, wanted = session.run_batch(pixels).probs, reference.run_batch(pixels).probs
    differences = np.concatenate([np.abs(got[task] - wanted[task]).ravel() for task in wanted])
    return Difference(largest=float(differences.max()), mean=float(differences.mean()))


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16])
def test_a_float_engine_computes_what_its_graph_says(build: Callable, precision: Precision) -> None:
    engine = build(precision)
    assert engine.manifest.provenance["smoke"]["largest_difference_from_fp32"] <= TOLERANCES[precision]
    assert _difference(engine).largest <= TOLERANCES[precision]


def test_an_int8_engine_is_as_close_to_fp32_as_openvinos(build: Callable, int8_engine: Engine) -> None:
    found, allowed = (
        _difference(build(Precision.INT8)),
        allowed_difference(_difference(int8_engine), Precision.INT8),
    )
    assert found.largest <= allowed.largest
    assert found.mean <= allowed.mean


def test_every_quantized_convolution_reads_int8(build: Callable) -> None:
    engine = build(Precision.INT8)
    kernels = engine.manifest.provenance["kernels"]
    assert kernels["int8"] == 2, kernels
    assert (
        engine.path / ("layers.json" if engine.manifest.target.backend is Backend.TENSORRT else "layers.txt")
    ).is_file()


def test_every_convolution_of_an_fp16_engine_reads_fp16(build: Callable) -> None:
    summary = build(Precision.FP16).manifest.provenance["kernels"]["summary"]
    assert summary.endswith("convolutions FP16"), summary


def test_a_batch_and_its_squares_alone_agree(build: Callable) -> None:
    pixels = squares(2 * ROWS + 1, seed=1)
    for precision in (Precision.FP32, Precision.INT8):
        with open_session(build(precision)) as session:
            batch = session.run_batch(pixels)
            for row, square in enumerate(pixels):
                alone = session.run(square)
                for task, probs in alone.probs.items():
                    np.testing.assert_allclose(probs, batch.probs[task][row], atol=BATCH_TOLERANCE)


def test_a_cuda_graph_changes_no_bit(build: Callable, trt: Any) -> None:
    try:
        importlib.import_module("cuda.core")
    except ImportError as cause:
        pytest.skip(f"needs cuda-core: {cause}")
    for precision in (Precision.FP32, Precision.FP16, Precision.INT8):
        answers = []
        for open_graphs, execution in ((no_cuda_graphs, "kernel by kernel"), (open_cuda_graphs, "CUDA graph")):
            runner = _runner(build(precision), trt, open_graphs)
            assert runner.execution.startswith(execution), runner.execution
            answers.append([_copied(runner.infer(square[np.newaxis])) for square in squares(6, seed=2)])
            assert runner.stream_ms > 0
            runner.close()
        for plain, recorded in zip(*answers, strict=True):
            for name, values in plain.items():
                np.testing.assert_array_equal(values, recorded[name], err_msg=f"{precision.value} {name}")


@pytest.mark.parametrize("side", [300, 900])
def test_a_photograph_that_is_cut_on_the_gpu_gets_the_same_answer(build: Callable, trt: Any, side: int) -> None:
    phantom = draw_phantom(np.random.default_rng(7), side_px=side, dr_grade=3, amd_grade=2, eye="L")
    runner = _runner(build(Precision.FP32), trt)
    cut = _copied(runner.infer(cut_square(phantom.pixels, phantom.field, ImageSpec(side_px=SIDE_PX))[np.newaxis]))
    for _ in range(2):  # the second time from memory that is kept
        answer = _copied(runner.infer_photograph(phantom.pixels, phantom.field))
        for name in ("dr_probs", "amd_probs"):
            np.testing.assert_allclose(answer[name], cut[name], atol=LEVEL_TOLERANCE)
    runner.close()


def test_gpu_memory_does_not_grow_and_comes_back(build: Callable, trt: Any, gpu: Gpu) -> None:
    engine, allowed = build(Precision.INT8), (JETSON_GROWTH_MIB if gpu.is_integrated else CARD_GROWTH_MIB) << 20
    _runner(engine, trt).close()  # loads the libraries, which stay
    before, _ = gpu.driver.mem_get_info()
    runner = _runner(engine, trt)
    pixels = squares(ROWS, seed=3)
    runner.infer(pixels)
    opened, _ = gpu.driver.mem_get_info()
    for step in range(INFERENCES):
        runner.infer(pixels[: 1 + step % ROWS])
    used, _ = gpu.driver.mem_get_info()
    runner.close()
    after, _ = gpu.driver.mem_get_info()
    assert opened - used <= allowed
    assert before - after <= allowed


def test_a_session_that_one_thread_opened_answers_another(build: Callable) -> None:
    square, answers = squares(1, seed=4)[0], []
    with open_session(build(Precision.FP32)) as session:
        here = session.run(square).probs["dr"]
        thread = threading.Thread(target=lambda: answers.append(session.run(square).probs["dr"]))
        thread.start()
        thread.join()
    np.testing.assert_array_equal(answers[0], here)


def test_a_plan_of_another_version_or_with_damage_is_refused(build: Callable, trt: Any, tmp_path: Path) -> None:
    engine = build(Precision.FP32)
    foreign = engine.manifest.model_copy(update={"backend_version": "1.2.3"})
    with pytest.raises(ArtefactForeign, match=r"was compiled by tensorrt\w* 1\.2\.3"):
        open_runner(engine.blob_path, foreign, trt=trt)
    damaged = tmp_path / "damaged.plan"
    damaged.write_bytes(b"no plan" * 100)
    with pytest.raises(ArtefactForeign, match="cannot read the plan"):
        open_runner(damaged, engine.manifest, trt=trt)
    with open_session(engine) as session:  # the refusals left the GPU usable
        session.run(squares(1, seed=0)[0])


def test_the_next_build_takes_the_timings_of_the_last(
    model: OnnxModel, target: TargetSpec, trt: Any, tmp_path: Path
) -> None:
    if target.backend is not Backend.TENSORRT:
        pytest.skip("TensorRT-RTX times nothing while it builds")
    options = CompilerOptions(timing_caches=tmp_path / "timings")
    build_float(model, target, tmp_path / "first", options=options)
    (kept,) = (tmp_path / "timings").iterdir()
    content = kept.read_bytes()
    assert content
    config = made(trt, trt.Builder, shared_logger(trt)).create_builder_config()
    assert config.set_timing_cache(config.create_timing_cache(content), ignore_mismatch=False)
    build_float(model, target, tmp_path / "second", options=options)
    assert [file.name for file in (tmp_path / "timings").iterdir()] == [kept.name]


class _Interrupting:
    """A bar that presses Ctrl-C at its first step."""

    def __init__(self, ctrl_c: Callable[[], None]) -> None:
        self.is_pressed, self._ctrl_c = False, ctrl_c

    def stage(self, name: str, total: int) -> None:
        pass

    def advance(self, n: int = 1) -> None:
        if not self.is_pressed:
            self.is_pressed = True
            self._ctrl_c()


def test_ctrl_c_ends_a_build_and_the_next_one_works(
    model: OnnxModel, target: TargetSpec, tmp_path: Path, ctrl_c: Callable[[], None]
) -> None:
    bar = _Interrupting(ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        build_float(model, target, tmp_path / "engine", options=CompilerOptions(progress=bar))
    assert bar.is_pressed
    assert list(tmp_path.iterdir()) == []
    build_float(model, target, tmp_path / "engine")


def test_a_rebuild_verifies_on_the_probes_and_takes_the_old_ones_place(
    model: OnnxModel, qdq: QdqModel, target: TargetSpec, trt: Any, tmp_path: Path
) -> None:
    judges = squares(120, seed=0)
    prepared = PreparedSet(photographs=labelled(120), squares=judges, failures=())
    gate = Gate(prepared=prepared, limits=LENIENT, probes=16)
    built = build_int8(model, qdq, target, tmp_path / "built", gate=gate)
    old = older(built, tmp_path / "engine", backend_version="1.2.3")
    with pytest.raises(ArtefactForeign):
        open_session(old)
    new = rebuild(old)
    assert new == open_engine(old.path)
    assert new.manifest.backend_version == str(trt.__version__)
    assert new.manifest.provenance["rebuilt"]["verified"] == "verified on 16 probes after the rebuild"
    with open_session(new) as session:
        assert np.isfinite(session.run(judges[0]).probs["dr"]).all()


def test_an_engine_that_the_cpu_judged_is_rebuilt_for_the_gpu(
    model: OnnxModel, qdq: QdqModel, target: TargetSpec, tmp_path: Path
) -> None:
    """Two compilers, one graph: the probes of OpenVINO's engine verify TensorRT's."""
    prepared = PreparedSet(photographs=labelled(120), squares=squares(120, seed=0), failures=())
    gate = Gate(prepared=prepared, limits=LENIENT, probes=16)
    judged = build_int8(model, qdq, load_target("openvino-cpu"), tmp_path / "judged", gate=gate)
    moved = older(judged, tmp_path / "engine", backend_version="1.2.3", target=target)
    assert rebuild(moved).manifest.provenance["rebuilt"]["verified"].startswith("verified on 16 probes")
