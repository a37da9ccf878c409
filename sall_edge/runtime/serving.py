"""A session that can be had now: the engine where it runs, its FP32 graph on the CPU where its plan cannot, and why.

`open_session` refuses what it cannot run, which is right for whoever measures. Whoever screens people is harmed by a
blank screen too: the FP32 graph is what the engine was judged against, so the CPU refers the same patients, slower.
"""

from dataclasses import dataclass
from functools import partial

from sall_edge.artifacts import Engine
from sall_edge.errors import ArtefactForeign, BackendMissing, DeviceFailed
from sall_edge.runtime.compiled_cache import CompiledCache
from sall_edge.runtime.session import Session, open_reference, open_session
from sall_edge.runtime.tensorrt_library import library
from sall_edge.spec import Backend

__all__ = ["StandIn", "open_serving"]

_CUDA = (Backend.TENSORRT, Backend.TENSORRT_RTX)


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """That the CPU serves instead of the engine.

    Attributes:
        because: The reason, in one line; also in the session's `served_by`.
        remedy: What to type or to install.
        is_stale: Whether the plan is the reason, so that compiling it again on this device ends it.
    """

    because: str
    remedy: str
    is_stale: bool

    def __str__(self) -> str:
        return f"the CPU serves with the FP32 graph, because {self.because}; remedy: {self.remedy}"


def open_serving(
    engine: Engine, *, threads: int | None = None, streams: int = 1, compiled_cache: CompiledCache | None = None
) -> tuple[Session, StandIn | None]:
    """A session, and what has to be told when it is the CPU's: None when the engine itself runs.

    The CPU stands in for a TensorRT plan that another version or another GPU's TensorRT wrote, for a TensorRT, PyCUDA,
    driver or GPU that is not there, and for a GPU that fails to open the plan (no memory left). It does not stand in
    for a damaged bundle (`open_engine` refuses it), for other pixels than the engine was trained on, or for an engine
    that was built for the CPU.

    Args:
        engine: From `open_engine`.
        threads, streams, compiled_cache: See `open_session`.

    Raises:
        ArtefactForeign: `prepare` here makes other pixels than the engine was trained on, or a CPU's library cannot
            read the graph.
        BackendMissing: Neither the engine's backend nor OpenVINO is on this machine.
    """
    opened = partial(open_session, engine, threads=threads, streams=streams, compiled_cache=compiled_cache)
    manifest = engine.manifest
    if manifest.target.backend not in _CUDA:
        return opened(), None
    from sall_edge.fundus.golden import check_golden_square  # OpenCV: not before an engine of the CPU needs it

    check_golden_square(manifest.golden_square, manifest.image)  # first: what follows is about the plan alone
    try:
        return opened(), None
    except (ArtefactForeign, BackendMissing, DeviceFailed) as problem:
        stand_in = _stand_in(engine, problem)
        because = stand_in.because
        return open_reference(engine, because=because, streams=streams, compiled_cache=compiled_cache), stand_in


def _stand_in(engine: Engine, problem: ArtefactForeign | BackendMissing | DeviceFailed) -> StandIn:
    because = " ".join(f"{problem.what}: {problem.why}".split())
    if not isinstance(problem, ArtefactForeign):
        return StandIn(because=because, remedy=problem.fix, is_stale=False)
    is_same_version = str(library(engine.manifest.target.backend).__version__) == engine.manifest.backend_version
    force = " --force" if is_same_version else ""  # the version is right and the plan cannot be read: another GPU
    return StandIn(because=because, remedy=f"sall-edge rebuild {engine.path}{force}", is_stale=True)
