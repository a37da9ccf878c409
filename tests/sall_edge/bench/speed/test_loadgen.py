"""MLPerf's own load generator on a small engine. Nothing here looks at how fast anything is."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from sall_edge.artifacts import Engine
from sall_edge.bench.speed.latency import LEAST_SAMPLES
from sall_edge.bench.speed.loadgen import SEEDS, loadgen_latency, loadgen_library, loadgen_throughput
from sall_edge.bench.speed.trace import Trace
from sall_edge.errors import BackendMissing, DeviceFailed
from sall_edge.runtime.session import Session, open_session

loadgen = pytest.importorskip("mlperf_loadgen", reason="mlcommons-loadgen is not installed: the bench extra has it")

SECONDS = 0.2
LONG_S = 600.0
"""Far longer than any test may take: a run that does not end when it should would be seen."""
ROUNDING_MS = 0.05
"""LoadGen and this project read two clocks, and choose the median of an even count differently."""


class _Backend:
    """Answers with ones and calls `at` with the number of each call: it shows what is asked, not how long it takes."""

    version = "0"
    streams = 1

    def __init__(self, engine: Engine, at: Callable[[int], None] = lambda call: None) -> None:
        self.sizes: list[int] = []
        self.threads: set[int] = set()
        self._tasks, self._at = engine.manifest.tasks, at

    def infer(self, squares: np.ndarray) -> Mapping[str, np.ndarray]:
        self.threads.add(threading.get_ident())
        self.sizes.append(len(squares))
        self._at(len(self.sizes))
        probs = {f"{task.name}_probs": np.ones((len(squares), len(task.grades)), np.float32) for task in self._tasks}
        return probs | {f"{task.name}_cam": np.zeros((len(squares), 2, 2), np.float32) for task in self._tasks}

    def close(self) -> None:
        pass


@pytest.fixture
def squares(fp32_engine: Engine) -> np.ndarray:
    side = fp32_engine.manifest.image.side_px
    return np.random.default_rng(0).integers(0, 256, (5, side, side, 3), dtype=np.uint8)


def _latency(session: Session, squares: np.ndarray, seconds: float, trace: Trace | None = None) -> Any:
    return loadgen_latency(
        loadgen, session, squares, Trace() if trace is None else trace, seconds=seconds, expected_ms=1.0
    )


def test_single_stream_states_its_seeds_its_settings_and_who_measured(fp32_engine: Engine, squares: np.ndarray) -> None:
    trace = Trace()
    with open_session(fp32_engine) as session:
        latency = loadgen_latency(loadgen, session, squares, trace, seconds=SECONDS, expected_ms=0.02)
    run = latency.loadgen
    assert run.seeds == SEEDS
    assert run.settings["min_duration_ms"] == SECONDS * 1e3
    assert run.settings["min_query_count"] == LEAST_SAMPLES[90]
    assert run.settings["target_latency_percentile"] == 0.9
    assert run.settings["performance_sample_count"] == len(squares)
    assert run.is_valid, run.invalid_because
    assert latency.n == trace.count >= LEAST_SAMPLES[90]
    assert latency.p90_ms >= latency.p50_ms > 0
    assert latency.estimator.startswith("mlcommons-loadgen ")
    assert latency.p50_ms == pytest.approx(trace.median_ms + latency.loadgen_overhead_ms)
    assert latency.loadgen_overhead_ms > -ROUNDING_MS


@pytest.mark.parametrize(("queries", "has_p99"), [(64, False), (700, True)])
def test_a_p99_appears_with_the_queries_that_can_carry_it(
    fp32_engine: Engine, squares: np.ndarray, queries: int, has_p99: bool
) -> None:
    session = Session(engine=fp32_engine, runner=_Backend(fp32_engine))
    # LoadGen prepares twice the queries that it expects, and a run of many seconds ends with them.
    latency = loadgen_latency(loadgen, session, squares, Trace(), seconds=queries / 2, expected_ms=1000)
    assert latency.n in range(queries, queries + 2)
    assert latency.p90_ms is not None
    assert (latency.p99_ms is not None) == has_p99


def test_queries_that_do_not_last_make_the_run_invalid(fp32_engine: Engine, squares: np.ndarray) -> None:
    session = Session(engine=fp32_engine, runner=_Backend(fp32_engine))
    run = loadgen_latency(loadgen, session, squares, Trace(), seconds=50, expected_ms=1000).loadgen
    assert run is not None
    assert not run.is_valid
    assert run.invalid_because


def test_offline_asks_for_all_at_once_and_answers_in_batches(fp32_engine: Engine, squares: np.ndarray) -> None:
    backend = _Backend(fp32_engine)
    session = Session(engine=fp32_engine, runner=backend)
    throughput = loadgen_throughput(loadgen, session, squares, seconds=0.1, expected_per_s=1000, batch=4)
    run = throughput.loadgen
    assert run is not None
    assert run.queries == 1
    assert sum(backend.sizes) == run.settings["samples_per_query"]
    assert set(backend.sizes[:-1]) == {4}
    assert throughput.images_per_s == run.images_per_s > 0


def test_a_session_is_used_by_the_thread_that_opened_it(fp32_engine: Engine, squares: np.ndarray) -> None:
    backend = _Backend(fp32_engine)
    session = Session(engine=fp32_engine, runner=backend)
    _latency(session, squares, 0.05)
    loadgen_throughput(loadgen, session, squares, seconds=0.05, expected_per_s=100, batch=4)
    assert backend.threads == {threading.get_ident()}


def test_an_error_comes_out_as_it_is_and_soon_and_the_next_run_is_unharmed(
    fp32_engine: Engine, squares: np.ndarray
) -> None:
    def fail(call: int) -> None:
        if call == 3:
            raise DeviceFailed("the GPU is gone", "it fell off the bus", "reboot")

    backend = _Backend(fp32_engine, fail)
    with pytest.raises(DeviceFailed, match="the GPU is gone"):
        loadgen_latency(
            loadgen,
            Session(engine=fp32_engine, runner=backend),
            squares,
            Trace(),
            seconds=LONG_S,
            expected_ms=10,
        )
    assert len(backend.sizes) == 3  # what LoadGen still asked for was not computed
    with open_session(fp32_engine) as session:
        assert _latency(session, squares, SECONDS).n >= LEAST_SAMPLES[90]


def test_ctrl_c_ends_a_long_run_and_the_next_one_is_unharmed(
    fp32_engine: Engine, squares: np.ndarray, ctrl_c: Callable[[], None]
) -> None:
    backend = _Backend(fp32_engine, lambda call: ctrl_c() if call == 5 else None)
    session = Session(engine=fp32_engine, runner=backend)
    with pytest.raises(KeyboardInterrupt):
        loadgen_latency(loadgen, session, squares, Trace(), seconds=LONG_S, expected_ms=10)
    assert len(backend.sizes) <= 6
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert loadgen_throughput(loadgen, session, squares, seconds=0.05, expected_per_s=100, batch=4).images_per_s > 0


INTERRUPTED = """
import sys
from pathlib import Path
import numpy as np
from sall_edge.artifacts import open_engine
from sall_edge.bench.speed.loadgen import loadgen_latency, loadgen_library
from sall_edge.bench.speed.trace import Trace
from sall_edge.runtime.session import open_session
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
engine = open_engine(Path(sys.argv[1]))
side = engine.manifest.image.side_px
class Telling(Trace):
    def add(self, start, end):
        super().add(start, end)
        if self.count == 5:
            print("measuring", flush=True)
with open_session(engine) as session:
    squares = np.zeros((2, side, side, 3), np.uint8)
    loadgen_latency(loadgen_library(), session, squares, Telling(), seconds=600, expected_ms=10)
"""


@pytest.mark.slow
def test_a_process_that_is_interrupted_ends_with_its_own_error_and_not_in_loadgen(fp32_engine: Engine) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(fp32_engine.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[4],
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "measuring\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert err.strip().splitlines()[-1] == "KeyboardInterrupt"
    assert process.returncode in {1, 130, -signal.SIGINT}  # and not SIGABRT


def test_a_result_that_loadgen_did_not_write_is_no_number(
    fp32_engine: Engine, squares: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sall_edge.bench.speed import loadgen as module

    read = module.read_log
    monkeypatch.setattr(module, "read_log", lambda path: read(path).model_copy(update={"images_per_s": None}))
    session = Session(engine=fp32_engine, runner=_Backend(fp32_engine))
    with pytest.raises(ValueError, match="reports no samples per second for Offline"):
        loadgen_throughput(loadgen, session, squares, seconds=0.01, expected_per_s=100, batch=4)


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (ModuleNotFoundError("no module", name="mlperf_loadgen"), "mlcommons-loadgen is not installed"),
        (ImportError("GLIBC_2.38 not found"), "mlcommons-loadgen does not load: GLIBC_2.38 not found"),
    ],
)
def test_a_missing_loadgen_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, error: ImportError, what: str
) -> None:
    def fail(name: str) -> ModuleType:
        raise error

    monkeypatch.setattr("sall_edge.bench.speed.loadgen.importlib.import_module", fail)
    with pytest.raises(BackendMissing) as missing:
        loadgen_library()
    assert missing.value.what == what
    assert "sall-edge[bench]" in missing.value.fix
