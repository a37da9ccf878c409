"""How long engines take: by the wall clock and by the GPU's, recorded or kernel by kernel, with and without copies."""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.device_check.board import sensors
from benchmarks.device_check.findings import Findings
from benchmarks.device_check.order import Arm, Order
from sall_edge.artifacts import Engine, open_engine
from sall_edge.bench.speed.latency import measure_latency, measure_throughput
from sall_edge.fundus.phantom.cohort import phantom_at
from sall_edge.fundus.prepare import cut_square
from sall_edge.runtime.cuda import Gpu, open_gpu, require_driver
from sall_edge.runtime.cuda_graph import no_cuda_graphs, open_cuda_graphs
from sall_edge.runtime.kernels import open_prepare_kernel
from sall_edge.runtime.session import Session, open_session
from sall_edge.runtime.tensorrt import TensorrtRunner
from sall_edge.runtime.tensorrt_library import library
from sall_edge.spec import Precision

__all__ = ["endure", "measure_photographs", "measure_speed"]

U8 = npt.NDArray[np.uint8]

PAIRS = 300
"""Runs in which the wall clock and the GPU's clock time the same work."""
PHOTOGRAPH_SIDE_PX = 1536
PHOTOGRAPHS = 3
REPEATS = 100
ENDS = 1000
"""First and last inferences of the endurance run that are compared."""
MIB = 1 << 20


def measure_speed(order: Order, arm: Arm, precision: Precision, found: Findings) -> None:
    """Latency and throughput; on a GPU every way of running that it has."""
    engine, squares = open_engine(order.bundle(arm, precision)), order.squares
    found.note(before=sensors())
    if arm is Arm.CPU:
        with open_session(engine) as session:
            _note_speed(session, squares, order.seconds, "openvino", found)
    else:
        _measure_gpu(engine, squares, order.seconds, found)
    found.note(after=sensors())


def _measure_gpu(engine: Engine, squares: U8, seconds: float, found: Findings) -> None:
    with _opened(engine, open_cuda_graphs) as (session, runner, gpu):
        found.note(execution=runner.execution, is_integrated=gpu.is_integrated)
        is_recorded, is_integrated = runner.execution == "CUDA graph", gpu.is_integrated
        name = "cuda_graph" if is_recorded else "kernel_by_kernel"
        _note_speed(session, squares, seconds, name, found)
        found.note(**{f"{name}_clocks": _two_clocks(session, runner, squares)})
    if is_recorded:
        with _opened(engine, no_cuda_graphs) as (session, runner, _):
            found.note(kernel_by_kernel=_latency(session, squares, seconds))
            found.note(kernel_by_kernel_clocks=_two_clocks(session, runner, squares))
    if is_integrated:
        with _opened(engine, open_cuda_graphs, prepare=_that_copies) as (session, runner, _):
            found.note(with_copies=_latency(session, squares, seconds))
            found.note(with_copies_clocks=_two_clocks(session, runner, squares))


@contextmanager
def _opened(
    engine: Engine, open_graphs: Callable[[int], Any], *, prepare: Callable[[Gpu], None] = lambda gpu: None
) -> Iterator[tuple[Session, TensorrtRunner, Gpu]]:
    manifest = engine.manifest
    require_driver()
    gpu = open_gpu()
    prepare(gpu)
    plan, trt = engine.blob_path.read_bytes(), library(manifest.target.backend)
    runner = TensorrtRunner(plan, manifest, trt=trt, gpu=gpu, open_graphs=open_graphs)
    with Session(engine=engine, runner=runner) as session:
        yield session, runner, gpu


def _that_copies(gpu: Gpu) -> None:
    """Makes an integrated GPU do what a card does: memory of its own, and real copies through the driver."""
    gpu.is_integrated = False


def _note_speed(session: Session, squares: U8, seconds: float, name: str, found: Findings) -> None:
    found.note(**{name: _latency(session, squares, seconds)})
    rate = measure_throughput(session, squares, seconds=seconds / 2, batch=session.manifest.target.batch_limit)
    found.note(throughput=rate.model_dump())


def _latency(session: Session, squares: U8, seconds: float) -> dict[str, Any]:
    return measure_latency(session, squares, seconds=seconds).model_dump()


def _two_clocks(session: Session, runner: TensorrtRunner, squares: U8) -> dict[str, float]:
    """Medians over the same runs: the call as the caller sees it, and the work on the GPU's stream."""
    wall_ms, stream_ms = [], []
    for index in range(PAIRS):
        start = time.perf_counter()
        session.run(squares[index % len(squares)])
        wall_ms.append((time.perf_counter() - start) * 1e3)
        stream_ms.append(runner.stream_ms)
    return {"runs": PAIRS, "wall_p50_ms": statistics.median(wall_ms), "stream_p50_ms": statistics.median(stream_ms)}


def measure_photographs(order: Order, precision: Precision, found: Findings) -> None:
    """The square that the GPU cuts, next to OpenCV's: same pixels, and how long; then a whole inference either way."""
    engine = open_engine(order.bundle(Arm.GPU, precision))
    phantoms = [phantom_at(1, index, side_px=PHOTOGRAPH_SIDE_PX) for index in range(PHOTOGRAPHS)]
    image, compared = engine.manifest.image, []
    found.note(photograph_px=PHOTOGRAPH_SIDE_PX, side_px=image.side_px)
    for phantom in phantoms:
        square, times = _cut_on_gpu(phantom.pixels, phantom.field, image.side_px)
        wanted = cut_square(phantom.pixels, phantom.field, image)
        difference = np.abs(square.astype(np.int16) - wanted)
        cpu = _median_ms(lambda phantom=phantom: cut_square(phantom.pixels, phantom.field, image))  # type: ignore[misc]
        values = {"values": difference.size, "other_values": int(np.count_nonzero(difference))}
        compared.append({**values, "largest_levels": int(difference.max()), **times, "opencv_cut_ms": cpu})
        found.note(squares=compared)
    phantom = phantoms[0]
    with _opened(engine, open_cuda_graphs) as (_, runner, _):
        found.note(cut_by_gpu_and_infer_ms=_median_ms(lambda: runner.infer_photograph(phantom.pixels, phantom.field)))
        found.note(
            cut_by_cpu_and_infer_ms=_median_ms(
                lambda: runner.infer(cut_square(phantom.pixels, phantom.field, image)[np.newaxis])
            )
        )


def _cut_on_gpu(pixels: U8, field: Any, side: int) -> tuple[U8, dict[str, float]]:
    """The square, and medians on the GPU's clock: the kernel alone, and with the photograph's way there."""
    gpu = open_gpu()
    try:
        with gpu.current():
            kernel = open_prepare_kernel(gpu.driver, gpu.capability)
            photograph, square = gpu.buffer((pixels.nbytes,), np.uint8), gpu.buffer((side, side, 3), np.uint8)
            photograph.host[:] = pixels.ravel()
            height, width = pixels.shape[:2]
            alone: list[float] = []
            uploaded: list[float] = []
            for _ in range(REPEATS):
                for times, is_uploaded in ((uploaded, True), (alone, False)):
                    with gpu.timed():
                        if is_uploaded:
                            gpu.upload(photograph, pixels.nbytes)
                        kernel.cut(
                            photograph.address, height, width, 3 * width, field, square.address, side, gpu.stream
                        )
                    gpu.synchronize()
                    times.append(gpu.elapsed_ms())
            gpu.download(square, side)
            gpu.synchronize()
            cut = np.array(square.host)
            del kernel
    finally:
        gpu.close()
    return cut, {"kernel_ms": statistics.median(alone), "upload_and_kernel_ms": statistics.median(uploaded)}


def _median_ms(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def endure(order: Order, precision: Precision, found: Findings) -> None:
    """Thousands of inferences in a row: does memory grow, does the device grow warm and slow?"""
    engine, squares = open_engine(order.bundle(Arm.GPU, precision)), order.squares
    watch = open_gpu()  # holds the context, so that memory can be asked for before and after the engine's life
    try:
        with watch.current():
            found.note(before=sensors(), gpu_free_before_mib=_free_mib(watch), resident_before_mib=_resident_mib())
            times = np.empty(order.inferences)
            with _opened(engine, open_cuda_graphs) as (session, _, _):
                session.run(squares[0])
                free_mib, resident_mib = _free_mib(watch), _resident_mib()
                found.note(gpu_free_opened_mib=free_mib, resident_opened_mib=resident_mib)
                for index in range(order.inferences):
                    start = time.perf_counter()
                    session.run(squares[index % len(squares)])
                    times[index] = (time.perf_counter() - start) * 1e3
                grown = {
                    "gpu_grown_mib": round(free_mib - _free_mib(watch), 1),
                    "resident_grown_mib": round(_resident_mib() - resident_mib, 1),
                }
                found.note(**grown, after=sensors())
            found.note(gpu_free_closed_mib=_free_mib(watch))
    finally:
        watch.close()
    ends = min(ENDS, len(times))
    found.note(
        inferences=order.inferences,
        total_s=round(float(times.sum()) / 1e3, 2),
        first_p50_ms=float(np.median(times[:ends])),
        last_p50_ms=float(np.median(times[-ends:])),
        slowest_ms=float(times.max()),
    )


def _free_mib(gpu: Gpu) -> float:
    """By the driver; on a Jetson it is the system's memory, which every program shares."""
    free, _ = gpu.driver.mem_get_info()
    return round(float(free) / MIB, 1)


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / MIB, 1)
