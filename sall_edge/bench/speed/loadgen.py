"""Latency and throughput as MLPerf measures them: mlcommons-loadgen asks, the session answers, in this process.

LoadGen calls back on the thread that starts it, so the session is used by that thread alone. An exception that went
through its C++ frames would leave its threads behind and abort the next run; so errors and signals wait until LoadGen
has ended: what is left of its queries is then answered without being computed, some 7 µs each.
"""

import importlib
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from sall_edge.bench.speed.latency import LEAST_SAMPLES, Latency, Throughput
from sall_edge.bench.speed.loadgen_log import LoadgenRun, read_log
from sall_edge.bench.speed.trace import Trace
from sall_edge.errors import BackendMissing
from sall_edge.runtime.session import Session

__all__ = ["loadgen_latency", "loadgen_library", "loadgen_throughput"]

U8 = npt.NDArray[np.uint8]

SEEDS = {
    "qsl_rng_seed": 2085463073848966840,
    "sample_index_rng_seed": 2747215439041700203,
    "schedule_rng_seed": 16159082839903944936,
}
"""MLPerf Inference 6.1's, which LoadGen 6.0.17 carries in its own mlperf.conf."""


def loadgen_library() -> ModuleType:
    """MLPerf's load generator.

    Raises:
        BackendMissing: It is not installed, or does not load.
    """
    try:
        return importlib.import_module("mlperf_loadgen")
    except ImportError as error:
        is_absent = isinstance(error, ModuleNotFoundError) and error.name == "mlperf_loadgen"
        raise BackendMissing(
            f"mlcommons-loadgen {'is not installed' if is_absent else f'does not load: {error}'}",
            "MLPerf's percentiles are those of its own load generator",
            "pip install 'sall-edge[bench]'",
        ) from error


def loadgen_latency(
    loadgen: ModuleType, session: Session, squares: U8, trace: Trace, *, seconds: float, expected_ms: float
) -> Latency:
    """SingleStream: one square at a time, the next when the last is done; p90 and p99 are early-stopping estimates.

    Args:
        loadgen: From `loadgen_library`.
        session: An open engine that is warm.
        squares: (N, side, side, 3) uint8; LoadGen draws from them.
        trace: Empty; takes every call of the session, timed inside LoadGen's.
        seconds: How long at least; at least 64 queries too.
        expected_ms: About what a query takes. LoadGen prepares twice the queries that this makes, some 450 bytes each,
            and calls the run invalid when they do not last.

    Raises:
        Exception: Whatever the session raised.
    """
    settings = _settings(loadgen, "SingleStream", seconds)
    settings.single_stream_expected_latency_ns = expected_ms * 1e6
    settings.single_stream_target_latency_percentile = 0.9
    settings.min_query_count = LEAST_SAMPLES[90]

    def answer(indices: Sequence[int]) -> None:
        start = time.perf_counter()
        session.run(squares[indices[0]])
        trace.add(start, time.perf_counter())

    run = _run(loadgen, settings, len(squares), answer, batch=1)
    return Latency(
        scenario=run.scenario,
        n=run.queries,
        p50_ms=run.p50_ms,
        p90_ms=run.early_stopping.p90_ms,
        p99_ms=run.early_stopping.p99_ms,
        inside_timer=("LoadGen's call", "copy in", "inference", "copy out"),
        estimator=f"mlcommons-loadgen {run.version}; p90 and p99 are its early-stopping estimates",
        loadgen=run,
        loadgen_overhead_ms=run.p50_ms - trace.median_ms,
    )


def loadgen_throughput(
    loadgen: ModuleType, session: Session, squares: U8, *, seconds: float, expected_per_s: float, batch: int
) -> Throughput:
    """Offline: all squares are asked for at once, and answered `batch` at a time.

    Args:
        loadgen: From `loadgen_library`.
        session: An open engine that is warm.
        squares: (N, side, side, 3) uint8, asked for again and again.
        seconds: How long at least.
        expected_per_s: About how many a second. LoadGen asks for a tenth more than this makes, and calls the run
            invalid when they are answered sooner.
        batch: How many go to the engine at once.

    Raises:
        Exception: Whatever the session raised.
    """
    settings = _settings(loadgen, "Offline", seconds)
    settings.offline_expected_qps = expected_per_s
    settings.min_query_count = batch

    def answer(indices: Sequence[int]) -> None:
        session.run_batch(squares[indices])

    run = _run(loadgen, settings, len(squares), answer, batch=batch)
    if run.images_per_s is None:
        raise ValueError(f"LoadGen {run.version} reports no samples per second for {run.scenario}")
    return Throughput(
        images_per_s=run.images_per_s,
        batch=batch,
        inside_timer=("LoadGen's call", "gathering a batch", "copy in", "inference", "copy out"),
        estimator=f"mlcommons-loadgen {run.version}, Offline",
        loadgen=run,
    )


def _settings(loadgen: ModuleType, scenario: str, seconds: float) -> Any:
    settings = loadgen.TestSettings()
    settings.scenario = getattr(loadgen.TestScenario, scenario)
    settings.mode = loadgen.TestMode.PerformanceOnly
    settings.min_duration_ms = max(1, round(seconds * 1e3))
    for name, seed in SEEDS.items():
        setattr(settings, name, seed)
    return settings


class _SystemUnderTest:
    """Answers queries until something went wrong or a signal came, and from then on says "done" at once."""

    def __init__(
        self, loadgen: ModuleType, answer: Callable[[Sequence[int]], None], batch: int, signals: Sequence[int]
    ) -> None:
        self.error: BaseException | None = None
        self._loadgen, self._answer, self._batch, self._signals = loadgen, answer, batch, signals

    def issue(self, queries: Sequence[Any]) -> None:
        for start in range(0, len(queries), self._batch):
            part = queries[start : start + self._batch]
            if self.error is None and not self._signals:
                try:
                    self._answer([query.index for query in part])
                except BaseException as error:  # raised again by `_run`: nothing may pass through LoadGen's frames
                    self.error = error
            # No data: LoadGen asks for it only where it logs accuracy.
            self._loadgen.QuerySamplesComplete([self._loadgen.QuerySampleResponse(query.id, 0, 0) for query in part])

    def flush(self) -> None:
        """Nothing is ever held back."""


def _run(
    loadgen: ModuleType, settings: Any, squares: int, answer: Callable[[Sequence[int]], None], *, batch: int
) -> LoadgenRun:
    with tempfile.TemporaryDirectory(prefix="sall-edge-loadgen-") as folder, _signals_held_back() as signals:
        system = _SystemUnderTest(loadgen, answer, batch, signals)
        # All squares are in memory from the start to the end.
        library = loadgen.ConstructQSL(squares, squares, lambda indices: None, lambda indices: None)
        under_test = loadgen.ConstructSUT(system.issue, system.flush)
        try:
            # An audit.config in the working directory would change the settings.
            audit = str(Path(folder) / "no-audit.config")
            loadgen.StartTestWithLogSettings(under_test, library, settings, _log_settings(loadgen, folder), audit)
        finally:
            loadgen.DestroySUT(under_test)
            loadgen.DestroyQSL(library)
        if system.error is not None:
            raise system.error
        return read_log(Path(folder) / "mlperf_log_detail.txt")


def _log_settings(loadgen: ModuleType, folder: str) -> Any:
    settings = loadgen.LogSettings()
    settings.log_output.outdir = folder
    settings.log_output.copy_summary_to_stdout = False  # stdout is the report's
    settings.enable_trace = False
    return settings


@contextmanager
def _signals_held_back() -> Iterator[list[int]]:
    """The signals that came meanwhile; their handlers are called at the end. A signal's default acts at once."""
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
    if threading.current_thread() is threading.main_thread():  # elsewhere no handler runs, and none can be set
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if callable(handler) and not isinstance(handler, signal.Handlers):
                handlers[number] = handler
                signal.signal(number, note)
    try:
        yield came
    finally:
        for held, handler in handlers.items():
            signal.signal(held, handler)
        for one in came:
            handlers[one](one, None)
