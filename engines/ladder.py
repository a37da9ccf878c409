"""The fastest engine that keeps its verdicts: INT8, then INT8 with the costliest layers in float, then FP16, then FP32.

climb(recipe) -> (Engine, rungs); every rung says why it was refused, and how fast it would have been
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from engines.build import build_float, build_int8
from engines.compiled import QUIET, CompilerOptions
from engines.familiarity import Training
from engines.gate import Gate
from sall_edge.artifacts import Engine, OnnxModel, QdqModel
from sall_edge.bench.speed.latency import measure_latency
from sall_edge.errors import BuildError, GateRefused
from sall_edge.runtime.session import open_session
from sall_edge.spec import Precision, TargetSpec

__all__ = ["Climb", "Recipe", "Rung", "climb"]

LATENCY_S = 2.0
"""Of a rung's timing: enough to tell INT8 from FP32, too little for a claim."""

WORTH_IT = 0.9
"""INT8 that takes more than this share of FP32's time is said not to be worth it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What the rungs are made from.

    Attributes:
        model: The FP32 graph.
        target: The device.
        gate: Judges every rung.
        quantized: Makes the INT8 graph with these layers in float.
        costly_layers: INT8 layers, the costliest first (`calibration.sensitivity`); asked for only when INT8 fails.
        training: Photographs that the network learnt from, for `engines.familiarity`.
        options: For every rung's compiler.
    """

    model: OnnxModel
    target: TargetSpec
    gate: Gate
    quantized: Callable[[Sequence[str]], QdqModel]
    costly_layers: Callable[[], Sequence[str]]
    training: Training | None = None
    options: CompilerOptions = QUIET


class Rung(BaseModel):
    """One attempt.

    Attributes:
        name: Such as "int8" or "int8, 4 layers in float".
        p50_ms: Median latency of a square, batch 1; None when it could not be run.
        refusals: Empty for the rung that is shipped.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    p50_ms: float | None
    refusals: tuple[str, ...]

    def __str__(self) -> str:
        time = "" if self.p50_ms is None else f"  {self.p50_ms:.2f} ms"
        return f"{self.name:28s}{time}  {'; '.join(self.refusals) or 'passed'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """What was shipped, and the way there.

    Attributes:
        engine: In its place.
        rungs: As they were tried; the last one passed.
        fp32_ms: Median latency of the FP32 engine on the same machine.
    """

    engine: Engine
    rungs: tuple[Rung, ...]
    fp32_ms: float

    @property
    def is_worth_it(self) -> bool:
        """Whether the shipped engine is at least 10 % faster than FP32; true for FP32 itself."""
        shipped = self.rungs[-1].p50_ms or self.fp32_ms
        return self.engine.manifest.precision is Precision.FP32 or shipped <= WORTH_IT * self.fp32_ms


def climb(recipe: Recipe, path: Path, *, note: Callable[[str], None] = lambda text: None) -> Climb:
    """The first rung that passes, in the folder `path`.

    Args:
        recipe: What the rungs are made from.
        path: The engine's folder.
        note: Told of every rung, as it was judged.

    Raises:
        GateRefused: Not even FP32 passes: the gate has too few labelled photographs.
        BuildError, BackendMissing, ParityError, OutputError: See `build_float`.
    """
    rungs: list[Rung] = []
    refusal: GateRefused | None = None
    for name, build in _rungs(recipe, path):
        gate, times = _timed(recipe.gate)
        try:
            engine = build(gate)
        except GateRefused as problem:
            refusal = problem
            rungs.append(Rung(name=name, p50_ms=times[0], refusals=problem.reasons))
            note(str(rungs[-1]))
            if problem.is_undecided:  # another precision would not bring more photographs
                raise
            continue
        rungs.append(Rung(name=name, p50_ms=times[0], refusals=()))
        note(str(rungs[-1]))
        return Climb(engine=engine, rungs=tuple(rungs), fp32_ms=_fp32_ms(recipe, rungs[-1], engine))
    if refusal is not None:
        raise refusal
    why, fix = "its list of precisions is empty", "name one: fp32 runs everywhere"
    raise BuildError(f"target {recipe.target.name} computes nothing", why, fix)


def _rungs(recipe: Recipe, path: Path) -> Iterator[tuple[str, Callable[[Gate], Engine]]]:
    """Names and builders, the fastest first; a builder is made when the rungs before it have failed."""
    model, target, options = recipe.model, recipe.target, recipe.options

    def int8(kept: Sequence[str]) -> Callable[[Gate], Engine]:
        return lambda gate: build_int8(
            model,
            recipe.quantized(kept),
            target,
            path,
            precision=best,
            gate=gate,
            training=recipe.training,
            options=options,
        )

    quantized = [precision for precision in target.precisions if precision.is_quantized]
    if quantized:
        best = quantized[0]
        yield best.value, int8(())
        layers = recipe.costly_layers()
        count = 1
        while count <= len(layers) // 2:  # with more than half of them in float it is no INT8 engine any more
            yield f"{best.value}, {count} layer{'s' * (count > 1)} in float", int8(layers[:count])
            count *= 2
    for precision in (Precision.FP16, Precision.FP32):
        if precision in target.precisions:
            yield precision.value, partial(_float, recipe, path, precision)


def _float(recipe: Recipe, path: Path, precision: Precision, gate: Gate) -> Engine:
    return build_float(
        recipe.model,
        recipe.target,
        path,
        precision=precision,
        gate=gate,
        training=recipe.training,
        options=recipe.options,
    )


def _timed(gate: Gate) -> tuple[Gate, list[float]]:
    """A gate that also times the engine, and where it puts the time."""
    times: list[float] = []

    def tried(engine: Engine) -> None:
        times.append(_median_ms(engine, gate))
        gate.tried(engine)

    return replace(gate, tried=tried), times


def _median_ms(engine: Engine, gate: Gate) -> float:
    with open_session(engine) as session:
        return measure_latency(session, gate.prepared.squares, seconds=LATENCY_S).p50_ms


def _fp32_ms(recipe: Recipe, shipped: Rung, engine: Engine) -> float:
    if engine.manifest.precision is Precision.FP32 and shipped.p50_ms is not None:
        return shipped.p50_ms
    with tempfile.TemporaryDirectory(prefix="sall-edge-") as folder:
        fp32 = build_float(recipe.model, recipe.target, Path(folder) / "fp32")
        return _median_ms(fp32, recipe.gate)
