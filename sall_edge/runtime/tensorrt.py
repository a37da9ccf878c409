"""TensorRT 10.3 to 11.4 and TensorRT-RTX: a plan, one stream, memory that is allocated once.

Only calls that all of these versions share are used, and the module is a parameter (`trt`). What was proven without a
GPU, and what only a device can show: docs/evidence.md.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sall_edge.artifacts import EngineManifest
from sall_edge.errors import ArtefactForeign, DeviceFailed
from sall_edge.fundus.field import FieldOfView
from sall_edge.runtime.cuda import Buffer, Gpu, open_gpu, require_driver
from sall_edge.runtime.cuda_graph import CudaGraph, CudaGraphs, no_cuda_graphs, open_cuda_graphs
from sall_edge.runtime.inference_times import InferenceTimes
from sall_edge.runtime.kernels.prepare import PrepareKernel, open_prepare_kernel
from sall_edge.runtime.nvidia_errors import explain
from sall_edge.runtime.tensorrt_library import made, shared_logger

if TYPE_CHECKING:
    import tensorrt as trt  # in tests its signatures of 10.3 to 11.4 are what mypy checks these calls against

__all__ = ["TensorrtRunner", "open_runner"]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

_REBUILD = "build the engine again on this device: sall-edge rebuild ENGINE"
_RESTART = "free GPU memory, or restart the device"


class TensorrtRunner:
    """A deserialised plan with its execution contexts and memory for the largest batch.

    Args:
        plan: Bytes that `trt.__version__` wrote.
        manifest: Of the engine that the plan belongs to.
        trt: The module `tensorrt` or `tensorrt_rtx`.
        gpu: Owned by the runner from here on, also when opening fails.
        open_graphs: Makes what records CUDA graphs on a stream; None where that cannot be had.

    Attributes:
        version: Of TensorRT.
        times: Of the last `infer`; copies between pinned and device memory are part of computing.
        execution: How a single square is run: "CUDA graph", or the reason why it is not.
    """

    streams = 1

    def __init__(
        self,
        plan: bytes,
        manifest: EngineManifest,
        *,
        trt: Any,
        gpu: Gpu,
        open_graphs: Callable[[int], CudaGraphs | None] = no_cuda_graphs,
    ) -> None:
        self.version = str(trt.__version__)
        self.times = InferenceTimes(0.0, 0.0, 0.0)
        self.execution = "kernel by kernel: cuda-core 1.0 or later is not installed"
        self._gpu = gpu
        self._log = shared_logger(trt)
        self._runtime: trt.Runtime | None = None
        self._engine: trt.ICudaEngine | None = None
        self._batch: trt.IExecutionContext | None = None
        self._single: trt.IExecutionContext | None = None
        self._recorded: CudaGraph | None = None
        self._kernel: PrepareKernel | None = None
        self._photograph: Buffer | None = None
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            with gpu.current():
                self._open(plan, manifest, trt)
                self._warm_up(open_graphs(int(gpu.stream.handle)))
            on_failure.pop_all()

    def _open(self, plan: bytes, manifest: EngineManifest, trt: Any) -> None:
        self._log.clear()
        self._runtime = made(trt, trt.Runtime, self._log)
        if manifest.target.dla_core is not None:
            self._runtime.DLA_core = manifest.target.dla_core
        self._engine = engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            explanation = explain(self._log.errors, fix=_REBUILD)
            raise ArtefactForeign(f"TensorRT {self.version} cannot read the plan", explanation.why, explanation.fix)
        self._outputs: dict[str, Buffer] = {}
        rows = manifest.target.batch_limit
        for name in [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]:
            row = tuple(engine.get_tensor_shape(name))[1:]
            if engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT:
                self._outputs[name] = self._gpu.buffer((rows, *row), np.float32)
            else:
                self._input_name, self._input = name, self._gpu.buffer((rows, *row), np.uint8)
        # One context for the graph, one for batches: a graph is bound to the shapes of the context that it was
        # recorded from. They are never at work at the same time, so one scratch memory serves both.
        size = engine.device_memory_size_v2
        scratch = int(self._gpu.memory(size))
        self._batch, self._single = self._context(trt, scratch, size), self._context(trt, scratch, size)

    def _context(self, trt: Any, scratch: int, size: int) -> "trt.IExecutionContext":
        assert self._engine is not None
        context = self._engine.create_execution_context(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        if context is None:
            raise self._failure("create an execution context")
        context.set_device_memory(scratch, size)
        for name, buffer in (*self._outputs.items(), (self._input_name, self._input)):
            if not context.set_tensor_address(name, buffer.address):
                raise self._failure(f"bind {name}")
        return context

    def _warm_up(self, graphs: CudaGraphs | None) -> None:
        """Runs each context once, which loads its kernels, and records a single square's work."""
        self._input.host[:] = 0
        self._gpu.upload(self._input, len(self._input.host))
        for context, rows in ((self._batch, len(self._input.host)), (self._single, 1)):
            self._shape(context, rows)
            self._execute(context, rows)
        self._gpu.synchronize()
        if graphs is None:
            return
        try:
            self._recorded = graphs.record(lambda: self._execute(self._single, 1))
            self.execution = "CUDA graph"
        except Exception as problem:  # cuda-core's errors share no other base; it is slower without, and as right
            self.execution = f"kernel by kernel: this plan cannot be recorded ({problem})"

    def infer(self, squares: U8) -> Mapping[str, F32]:
        """Outputs by name: views of pinned memory, valid until the next call.

        Raises:
            DeviceFailed: TensorRT or the GPU refuses.
        """
        rows = len(squares)
        began = perf_counter()
        np.copyto(self._input.host[:rows], squares)
        copied = perf_counter()
        with self._gpu.current():
            with self._gpu.timed():
                self._gpu.upload(self._input, rows)
                if rows == 1:
                    self._run_single()
                else:
                    self._shape(self._batch, rows)
                    self._execute(self._batch, rows)
            self._gpu.synchronize()
        self.times = InferenceTimes(began, copied, perf_counter())
        return {name: buffer.host[:rows] for name, buffer in self._outputs.items()}

    def infer_photograph(self, pixels: U8, field: FieldOfView) -> Mapping[str, F32]:
        """Outputs of one photograph, whose square is cut on the GPU; with the same numbers as `cut_square`.

        Args:
            pixels: (H, W, 3) uint8, RGB. Memory for the largest one so far is kept.
            field: In pixels of `pixels`.

        Raises:
            BackendMissing: The kernel is not compiled for this GPU and cannot be compiled here.
            DeviceFailed: The memory is not enough, or TensorRT or the GPU refuses.
        """
        height, width = pixels.shape[:2]
        with self._gpu.current():
            if self._kernel is None:
                self._kernel = open_prepare_kernel(self._gpu.driver, self._gpu.capability)
            if self._photograph is None or len(self._photograph.host) < pixels.nbytes:
                self._photograph = self._gpu.buffer((pixels.nbytes,), np.uint8)
            photograph = self._photograph
            np.copyto(photograph.host[: pixels.nbytes].reshape(pixels.shape), pixels)
            with self._gpu.timed():
                self._gpu.upload(photograph, pixels.nbytes)
                self._kernel.cut(
                    photograph.address,
                    height,
                    width,
                    3 * width,
                    field,
                    self._input.address,
                    self._input.host.shape[1],
                    self._gpu.stream,
                )
                self._run_single()
            self._gpu.synchronize()
        return {name: buffer.host[:1] for name, buffer in self._outputs.items()}

    @property
    def stream_ms(self) -> float:
        """Time of the last `infer` on the GPU's stream, copies included, by the GPU's own clock."""
        with self._gpu.current():
            return self._gpu.elapsed_ms()

    def _run_single(self) -> None:
        """Queues the network on the square that the input holds: recorded, or kernel by kernel."""
        if self._recorded is not None:
            self._recorded.launch()
        else:
            self._execute(self._single, 1)

    def _shape(self, context: "trt.IExecutionContext | None", rows: int) -> None:
        assert context is not None
        if not context.set_input_shape(self._input_name, (rows, *self._input.host.shape[1:])):
            raise self._failure(f"take a batch of {rows}")

    def _execute(self, context: "trt.IExecutionContext | None", rows: int) -> None:
        assert context is not None
        if not context.execute_async_v3(self._gpu.stream.handle):
            raise self._failure("run the engine")
        for buffer in self._outputs.values():
            self._gpu.download(buffer, rows)

    def close(self) -> None:
        """Frees the recording first, then TensorRT's objects, then the memory that they point to."""
        with ExitStack() as last:
            last.callback(self._gpu.close)
            with self._gpu.current():
                recorded, self._recorded = self._recorded, None
                self._single = self._batch = self._engine = self._runtime = self._kernel = None
                if recorded is not None:
                    recorded.close()

    def _failure(self, verb: str) -> DeviceFailed:
        explanation = explain(self._log.errors, fix=_RESTART)
        return DeviceFailed(f"TensorRT {self.version} cannot {verb}", explanation.why, explanation.fix)


def open_runner(plan: Path, manifest: EngineManifest, *, trt: Any) -> TensorrtRunner:
    """The plan on this machine's GPU.

    Raises:
        ArtefactForeign: Another version of TensorRT wrote the plan, or it was made for another GPU.
        BackendMissing: No driver, no GPU, no PyCUDA, or TensorRT does not start.
        DeviceFailed: The memory is not enough, or the GPU refuses to run.
    """
    if trt.__version__ != manifest.backend_version:
        what = f"{plan} was compiled by {trt.__name__} {manifest.backend_version}"
        why = f"this machine has {trt.__version__}, and a plan runs only in the version that wrote it"
        raise ArtefactForeign(what, why, _REBUILD)
    require_driver()  # before any trt.Runtime, which would end the process without a driver
    content = plan.read_bytes()
    return TensorrtRunner(content, manifest, trt=trt, gpu=open_gpu(), open_graphs=open_cuda_graphs)
