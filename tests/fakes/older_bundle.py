"""A bundle as another version of its compiler would have left it, and a device whose TensorRT is OpenVINO.

They show: what a rebuild keeps, replaces and refuses, and who serves meanwhile. They cannot show: that NVIDIA's
compiler takes the graph, what a plan of another version does when it is read, or how long a device compiles.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from fakes.recording_gpu import RecordingDriver, RecordingTensorrt

import engines.rebuild
from engines.compiled import Compiled, KernelReport
from engines.targets import load_target
from sall_edge.artifacts import Engine, EngineManifest, open_engine, seal
from sall_edge.runtime import openvino, tensorrt

PLAN = "engine.plan"


def older(engine: Engine, place: Path, **changes: object) -> Engine:
    """A sealed copy whose manifest says otherwise; by default that version 2020.1 compiled it."""
    shutil.copytree(engine.path, place)
    for name in ("manifest.json", "signature"):
        (place / name).unlink()
    seal(place, engine.manifest.model_copy(update={"backend_version": "2020.1", **changes}))
    return open_engine(place)


def tensorrt_bundle(engine: Engine, place: Path, version: str = "10.3.0") -> Engine:
    """A sealed copy that says to be a plan of that TensorRT for a Jetson."""
    made = older(engine, place)
    for name in ("manifest.json", "signature"):
        (place / name).unlink()
    (place / PLAN).write_bytes(b"a plan of " + version.encode())
    changes = {"target": load_target("orin-nano"), "backend_version": version, "blob": PLAN}
    seal(place, made.manifest.model_copy(update=changes))
    return open_engine(place)


def install_tensorrt(monkeypatch: pytest.MonkeyPatch, version: str) -> RecordingTensorrt:
    """The module `tensorrt` of that version, on a machine without a driver."""
    trt = RecordingTensorrt(RecordingDriver(), {}, version=version)
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    return trt


class _Warped:
    """A runner whose answers go through `warp`."""

    streams = 1

    def __init__(self, inner: openvino.OpenvinoRunner, version: str, warp) -> None:
        self.inner, self.version, self.warp = inner, version, warp
        self.close = inner.close

    def infer(self, squares: np.ndarray) -> dict[str, np.ndarray]:
        return {name: self.warp(name, values.copy()) for name, values in self.inner.infer(squares).items()}


def install_device(monkeypatch: pytest.MonkeyPatch, version: str, warp=lambda name, values: values) -> None:
    """TensorRT of that version with a compiler and a GPU: a plan is its version, OpenVINO computes the graph.

    Args:
        monkeypatch: Undoes it.
        version: Of TensorRT.
        warp: Makes of each output, by name, what this device answers.
    """
    install_tensorrt(monkeypatch, version)

    def compile_graph(folder: Path, **options: object) -> Compiled:
        assert (folder / "qdq.onnx").is_file()
        (folder / PLAN).write_bytes(b"a plan of " + version.encode())
        return Compiled(blob=PLAN, backend_version=version, kernels=KernelReport())

    honest = tensorrt.open_runner

    def open_runner(plan: Path, manifest: EngineManifest, *, trt: RecordingTensorrt) -> _Warped:
        if manifest.backend_version != version:
            honest(plan, manifest, trt=trt)  # refuses, with its own words
        assert plan.read_bytes() == b"a plan of " + version.encode()
        return _Warped(openvino.open_runner(plan.parent / "qdq.onnx", manifest, threads=1), version, warp)

    monkeypatch.setattr(engines.rebuild, "compile_graph", compile_graph)
    monkeypatch.setattr(tensorrt, "open_runner", open_runner)
