"""Where a TensorRT target can be built: TensorRT needs the device itself, TensorRT-RTX any computer."""

from collections.abc import Callable
from functools import partial

from sall_edge.errors import BackendMissing, BuildError
from sall_edge.runtime.cuda import GpuFacts, describe_gpu, require_driver
from sall_edge.runtime.tensorrt_library import library
from sall_edge.spec import Backend, TargetSpec

__all__ = ["check_target"]

_LEAST_CAPABILITY = 7.5
"""Turing. Xavier (7.2) ends at JetPack 5 and TensorRT 8.5, where precision would be the builder's choice."""


def check_target(target: TargetSpec) -> GpuFacts | None:
    """Checks that a plan for the target can be built on this machine.

    Returns:
        This machine's GPU; None without one, which only TensorRT-RTX can do without.

    Raises:
        BackendMissing, BuildError: See `compile_graph`.
    """
    _check_capabilities(target)
    return _device(target)


def _check_capabilities(target: TargetSpec) -> None:
    if not target.compute_capabilities:
        fix = 'add compute_capabilities = ["8.7"] or what the device has'
        raise BuildError(f"target {target.name} names no compute capability", "TensorRT builds for one GPU", fix)
    old = [text for text in target.compute_capabilities if float(text) < _LEAST_CAPABILITY]
    if old:
        why = f"compute capability {old[0]} ends at TensorRT 8.5 (JetPack 5), this project needs 10.3"
        fix = "run the same graph on the device's CPU: --target openvino-cpu"
        raise BuildError(f"{target.title} cannot be built for", why, fix)


def _device(target: TargetSpec) -> GpuFacts | None:
    if target.backend is Backend.TENSORRT_RTX:
        library(target.backend)
        try:
            return describe_gpu()
        except BackendMissing:
            return None
    _require_device(target)
    here = describe_gpu()
    if here.compute_capability not in target.compute_capabilities:
        this = f"this one has compute capability {here.compute_capability}"
        why = f"TensorRT builds for the GPU that it runs on, and {this}"
        fix = f"build on the device itself (compute capability {' or '.join(target.compute_capabilities)})"
        raise BuildError(f"target {target.name} cannot be built on this machine", why, fix)
    return here


def _require_device(target: TargetSpec) -> None:
    """Names everything that is missing at once, so that a user does not mend one thing to be told of the next."""
    answers = (_problem(require_driver), _problem(partial(library, target.backend)))
    if missing := [answer for answer in answers if answer]:
        what = f"target {target.name} cannot be built on this machine"
        why = "; ".join(problem.what for problem in missing)
        fixes = "; ".join(problem.fix for problem in missing)
        raise BackendMissing(what, why, f"build on the {target.title} itself; {fixes}")


def _problem(require: Callable[[], object]) -> BackendMissing | None:
    try:
        require()
    except BackendMissing as problem:
        return problem
    return None
