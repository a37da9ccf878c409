"""From an engine to predictions: one session, whoever computes.

    with open_session(open_engine(folder)) as session:
        prediction = session.run(prepare(photograph, session.manifest.image))

A backend is three verbs: its module's `open_runner` opens, `Runner.infer` infers, `Runner.close` closes. Which one runs
an engine is decided by the match in `open_session` and by nothing else.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from sall_edge.artifacts import FEATURES, Engine, EngineManifest
from sall_edge.errors import BackendMissing
from sall_edge.runtime.compiled_cache import CompiledCache
from sall_edge.runtime.familiar_retinas import FamiliarRetinas, read_familiar_retinas
from sall_edge.runtime.inference_times import InferenceTimes
from sall_edge.runtime.prediction import BatchPrediction, Prediction
from sall_edge.spec import Backend, Precision

__all__ = ["BatchPrediction", "Prediction", "Runner", "ServedBy", "Session", "open_reference", "open_session"]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]


class ServedBy(BaseModel):
    """Who computes.

    Attributes:
        backend: The library.
        precision: Arithmetic of the convolutions.
        because: Why it is not what the engine was built for; None when it is.
    """

    model_config = ConfigDict(frozen=True)

    backend: Backend
    precision: Precision
    because: str | None = None


class Runner(Protocol):
    """An opened backend; it trusts its caller for shapes."""

    @property
    def version(self) -> str:
        """Version of the library that computes."""

    @property
    def streams(self) -> int:
        """How many threads may infer one square each at a time; batches are for one thread at a time."""

    @property
    def times(self) -> InferenceTimes:
        """Of the last `infer`, by whichever thread."""

    def infer(self, squares: U8) -> Mapping[str, F32]:
        """Outputs by name, batch first; they may be buffers of the runner, valid until the thread's next `infer`.

        Args:
            squares: (N, side, side, 3) uint8, 1 <= N <= the target's batch_limit.
        """

    def close(self) -> None:
        """Releases everything; called once."""


class Session:
    """An engine that is open; closed by `with` or `close`.

    Attributes:
        engine: The bundle that was opened.
        image_spec_sha256: Of the manifest's image specification.
        backend_version: Version of the library that computes, on this machine.
        served_by: Who computes; unless told otherwise, what the engine was built for.
        streams: How many threads may call `run` at a time; `run_batch` is for one.
        answered: How many squares were run so far; exact while one thread calls at a time.
        familiar_retinas: Where the training photographs lie in the features; None for an engine that does not say.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        runner: Runner,
        served_by: ServedBy | None = None,
        familiar_retinas: FamiliarRetinas | None = None,
    ) -> None:
        self.engine = engine
        built_for = ServedBy(backend=engine.manifest.target.backend, precision=engine.manifest.precision)
        self.served_by = served_by or built_for
        self.backend_version = runner.version
        self.streams = runner.streams
        self.answered = 0
        self.familiar_retinas = familiar_retinas
        self.image_spec_sha256 = engine.manifest.image.sha256  # once: a hash is not free
        side = engine.manifest.image.side_px
        self._shape = (side, side, 3)
        self._batch_limit = engine.manifest.target.batch_limit
        self._probs = [(task.name, f"{task.name}_probs") for task in engine.manifest.tasks]
        self._cams = [(task.name, f"{task.name}_cam") for task in engine.manifest.tasks]
        self._runner: Runner | None = runner

    @property
    def manifest(self) -> EngineManifest:
        """The engine's manifest."""
        return self.engine.manifest

    @property
    def times(self) -> InferenceTimes:
        """How the time of the last run was spent.

        Raises:
            ValueError: The session is closed.
        """
        return self._open_runner().times

    def run(self, square: U8) -> Prediction:
        """Probabilities and activation maps of one prepared square.

        Args:
            square: (side, side, 3) uint8 RGB, as `fundus.prepare` makes it.

        Raises:
            ValueError: Another shape or dtype, or the session is closed.
        """
        if square.shape != self._shape or square.dtype != np.uint8:
            raise self._misfit("square", square, self._shape)
        outputs = self._open_runner().infer(square[np.newaxis])
        self.answered += 1
        return Prediction(
            probs={task: outputs[name][0].copy() for task, name in self._probs},
            cams={task: outputs[name][0].copy() for task, name in self._cams},
            features=outputs[FEATURES][0].copy() if FEATURES in outputs else None,
        )

    def run_batch(self, squares: U8) -> BatchPrediction:
        """The same for several squares, at most the target's `batch_limit` at once.

        Args:
            squares: (N, side, side, 3) uint8 RGB, N >= 1.

        Raises:
            ValueError: Another shape or dtype, no square, or the session is closed.
        """
        if squares.ndim != 4 or squares.shape[1:] != self._shape or squares.dtype != np.uint8 or not len(squares):
            raise self._misfit("batch", squares, ("N >= 1", *self._shape))
        runner = self._open_runner()
        parts: dict[str, list[F32]] = {}
        for start in range(0, len(squares), self._batch_limit):
            for name, output in runner.infer(squares[start : start + self._batch_limit]).items():
                parts.setdefault(name, []).append(output.copy())
        self.answered += len(squares)
        return BatchPrediction(
            probs={task: np.concatenate(parts[name]) for task, name in self._probs},
            cams={task: np.concatenate(parts[name]) for task, name in self._cams},
            features=np.concatenate(parts[FEATURES]) if FEATURES in parts else None,
        )

    def close(self) -> None:
        """Releases the backend; a second call does nothing."""
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.close()

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open_runner(self) -> Runner:
        if self._runner is None:
            raise ValueError(f"the session of {self.engine.path} is closed: use it inside its with block")
        return self._runner

    def _misfit(self, noun: str, array: U8, shape: tuple[int | str, ...]) -> ValueError:
        wanted = "(" + ", ".join(map(str, shape)) + ")"
        return ValueError(
            f"the {noun} is {array.shape} {array.dtype}, the engine eats {wanted} uint8: "
            "prepare(photograph, session.manifest.image) makes it"
        )


def open_session(
    engine: Engine, *, threads: int | None = None, streams: int = 1, compiled_cache: CompiledCache | None = None
) -> Session:
    """The engine, ready to run on the backend that it was built for, and on no other.

    Args:
        engine: From `open_engine`, which has verified every byte.
        threads: CPU threads instead of the target's; 0 takes all. CUDA backends have no use for it.
        streams: Inferences at a time on OpenVINO: several, for as many threads, do more photographs a second and take
            longer for each. The other backends do one at a time, see `Session.streams`.
        compiled_cache: Where OpenVINO's compiled networks are kept; None compiles at every opening.

    Raises:
        ArtefactForeign: `prepare` here makes other pixels than the engine was trained on, or another version of the
            backend wrote the compiled file.
        BackendMissing: The backend, or the driver that it needs, is not on this machine.
    """
    manifest = engine.manifest
    familiar_retinas = read_familiar_retinas(engine)
    cpu_threads = manifest.target.threads if threads is None else threads
    match manifest.target.backend:
        case Backend.OPENVINO:
            runner = _open_on_openvino(
                engine.blob_path, manifest, threads=cpu_threads, streams=streams, cache=compiled_cache
            )
        case Backend.ONNXRUNTIME:
            _check_golden_square(manifest)
            with _installed("ONNX Runtime", "pip install 'sall-edge[build]'"):
                from sall_edge.runtime import onnxruntime
            runner = onnxruntime.open_runner(engine.blob_path, manifest, threads=cpu_threads)
        case Backend.TENSORRT | Backend.TENSORRT_RTX as backend:
            _check_golden_square(manifest)
            from sall_edge.runtime import tensorrt, tensorrt_library

            runner = tensorrt.open_runner(engine.blob_path, manifest, trt=tensorrt_library.library(backend))
    return Session(engine=engine, runner=runner, familiar_retinas=familiar_retinas)


def open_reference(
    engine: Engine, *, because: str | None = None, streams: int = 1, compiled_cache: CompiledCache | None = None
) -> Session:
    """The bundle's FP32 graph on OpenVINO, in FP32 arithmetic: what the engine is compared with.

    Args:
        engine: From `open_engine`.
        because: Why it serves in the engine's stead, where it does.
        streams, compiled_cache: See `open_session`.

    Raises:
        ArtefactForeign: See `open_session`.
        BackendMissing: OpenVINO is not installed.
    """
    familiar_retinas = read_familiar_retinas(engine)  # the engine's own: docs/results/familiarity.md
    runner = _open_on_openvino(engine.reference_path, engine.manifest, threads=0, streams=streams, cache=compiled_cache)
    served_by = ServedBy(backend=Backend.OPENVINO, precision=Precision.FP32, because=because)
    return Session(engine=engine, runner=runner, served_by=served_by, familiar_retinas=familiar_retinas)


def _open_on_openvino(
    graph: Path, manifest: EngineManifest, *, threads: int, streams: int, cache: CompiledCache | None
) -> Runner:
    """A graph on OpenVINO, which compiles it while OpenCV is imported and draws the golden square."""
    with _installed("OpenVINO", "pip install openvino"):
        from sall_edge.runtime import openvino
    with ThreadPoolExecutor(1, thread_name_prefix="compile") as pool:
        opening = pool.submit(openvino.open_runner, graph, manifest, threads=threads, streams=streams, cache=cache)
        try:
            _check_golden_square(manifest)
        except BaseException:
            if opening.exception() is None:
                opening.result().close()
            raise
        return opening.result()


def _check_golden_square(manifest: EngineManifest) -> None:
    from sall_edge.fundus.golden import check_golden_square  # here, because OpenCV takes its time to load

    check_golden_square(manifest.golden_square, manifest.image)


@contextmanager
def _installed(name: str, command: str) -> Iterator[None]:
    try:
        yield
    except ImportError as cause:
        raise BackendMissing(f"{name} is not installed", str(cause), command) from cause
