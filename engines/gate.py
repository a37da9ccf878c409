"""Whether an engine still refers the patients that its FP32 graph refers: numbers, limits, and every changed verdict.

    engine + FP32 graph + gate photographs -> GateReport; build ships no engine whose report did not pass

The operating points are the frozen ones of the graph. Limits are a TOML, by default
`gates/clinical.toml`.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from engines.limits import GateLimits, load_limits
from engines.probes import PROBES, Probes, choose_probes
from sall_edge.artifacts import Engine, sha256_of_file
from sall_edge.bench.accuracy.grading import labelled_rows, measure_accuracy, predict_all
from sall_edge.bench.accuracy.metrics import Change, TaskAccuracy, measure_change, referable_probability
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.fundus.prepared_set import PreparedSet
from sall_edge.runtime.session import open_reference, open_session
from sall_edge.spec import Task

__all__ = [
    "GATE_NAME",
    "ChangedVerdict",
    "Gate",
    "GateLimits",
    "GateReport",
    "TaskGate",
    "judge",
    "load_limits",
    "run_gate",
]

F32 = npt.NDArray[np.float32]

GATE_NAME = "gate.json"
"""The report's name in a bundle."""

_ROUNDING = 1e-9
"""Of a difference of two shares: one photograph of a hundred is 0.01, and no more than a limit of 0.01."""


class ChangedVerdict(BaseModel):
    """A photograph that FP32 and the engine do not refer alike.

    Attributes:
        image, task: Which.
        is_lost: Referable to FP32 and not to the engine.
        grade: The label, None where it is unknown.
        fp32_probs, engine_probs: (K,) each.
    """

    model_config = ConfigDict(frozen=True)

    image: str
    task: str
    is_lost: bool
    grade: int | None
    fp32_probs: tuple[float, ...]
    engine_probs: tuple[float, ...]


class TaskGate(BaseModel):
    """One task before and after.

    Attributes:
        photographs: All that were compared; `labelled` and `referable` of them by their labels.
        grade_agreement, lost_referrals, gained_referrals: Shares of all photographs.
        fp32, engine: Accuracy on the labelled ones; None without any.
        change: By metric, engine less FP32, with paired intervals.
    """

    model_config = ConfigDict(frozen=True)

    photographs: int
    labelled: int
    referable: int
    grade_agreement: float
    lost_referrals: float
    gained_referrals: float
    fp32: TaskAccuracy | None
    engine: TaskAccuracy | None
    change: dict[str, Change]


class GateReport(BaseModel):
    """What the gate found; `refusals` is empty when the engine passed.

    Attributes:
        limits: What was asked.
        images_sha256: Hash over the pixels of the gate's squares, in order.
        refusals: One sentence for each limit that is broken.
        tasks: By name.
        changed: Lost referrals first.
    """

    model_config = ConfigDict(frozen=True)

    limits: GateLimits
    images_sha256: str
    refusals: tuple[str, ...]
    tasks: dict[str, TaskGate]
    changed: tuple[ChangedVerdict, ...]

    @property
    def is_passed(self) -> bool:
        """Whether the engine may be shipped."""
        return not self.refusals

    @property
    def is_undecided(self) -> bool:
        """Whether there are too few labelled photographs to say anything."""
        least = (self.limits.least_photographs, self.limits.least_referable)
        return any(gate.labelled < least[0] or gate.referable < least[1] for gate in self.tasks.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What an engine is judged on.

    Attributes:
        prepared: Photographs that neither trained nor calibrated it, see `calibration.audit`.
        limits: What it may lose.
        advance: Called twice for every photograph.
        tried: Shown the engine that runs, before it is judged; it is gone afterwards when it is refused.
        answers: What FP32 graphs said, by their hashes: the rungs of a ladder share one.
        probes: How many of the photographs an engine that passes takes along at most; 0 for none.
    """

    prepared: PreparedSet
    limits: GateLimits
    advance: Callable[[], None] = lambda: None
    tried: Callable[[Engine], None] = lambda engine: None
    answers: dict[str, dict[str, F32]] = field(default_factory=dict)
    probes: int = PROBES


def run_gate(engine: Engine, gate: Gate) -> tuple[GateReport, Probes | None]:
    """Runs the engine and its FP32 graph on the gate's photographs, one square at a time as in screening.

    Args:
        engine: The bundle; it need not be sealed yet.
        gate: Photographs and limits.

    Returns:
        The report, and for an engine that passed what it takes along, None when nothing is asked for.

    Raises:
        SallEdgeError: The engine cannot be opened.
    """
    squares = gate.prepared.squares
    with open_session(engine) as session:
        after = predict_all(session, squares, advance=gate.advance)
    before = _fp32_answers(engine, gate)
    manifest = engine.manifest
    digest = hashlib.sha256(np.ascontiguousarray(squares).tobytes()).hexdigest()
    tasks, points = manifest.tasks, manifest.operating_points
    report = judge(gate.prepared.photographs, tasks, points, before, after, gate.limits, images_sha256=digest)
    if not (report.is_passed and gate.probes):
        return report, None
    return report, choose_probes(squares, before, after, tasks=tasks, operating_points=points, count=gate.probes)


def _fp32_answers(engine: Engine, gate: Gate) -> dict[str, F32]:
    """Per task the (n, K) probabilities of the bundle's FP32 graph, which is asked once."""
    digest = sha256_of_file(engine.reference_path)
    if digest in gate.answers:
        for _ in gate.prepared.squares:
            gate.advance()
    else:
        with open_reference(engine) as session:
            gate.answers[digest] = predict_all(session, gate.prepared.squares, advance=gate.advance)
    return gate.answers[digest]


def judge(
    photographs: Sequence[LabelledPhotograph],
    tasks: Sequence[Task],
    operating_points: dict[str, float],
    before: dict[str, F32],
    after: dict[str, F32],
    limits: GateLimits,
    *,
    images_sha256: str,
) -> GateReport:
    """The report on these probabilities.

    Args:
        photographs: n of them, with what is known of their grades.
        tasks: What is graded.
        operating_points: By task.
        before, after: (n, K) probabilities by task, of the FP32 graph and of the engine.
        limits: What the engine may lose.
        images_sha256: Which squares they were.
    """
    fp32, engine = (measure_accuracy(photographs, tasks, probs, operating_points) for probs in (before, after))
    found: dict[str, TaskGate] = {}
    changed: list[ChangedVerdict] = []
    for task in tasks:
        name, point = task.name, operating_points[task.name]
        old, new = before[name], after[name]
        referred, still = (referable_probability(probs, task) >= point for probs in (old, new))
        found[name] = TaskGate(
            photographs=len(photographs),
            grade_agreement=float((old.argmax(axis=1) == new.argmax(axis=1)).mean()),
            lost_referrals=float((referred & ~still).mean()),
            gained_referrals=float((~referred & still).mean()),
            fp32=fp32.get(name),
            engine=engine.get(name),
            **_on_labels(photographs, task, old, new, point),
        )
        rows = np.flatnonzero(referred != still).tolist()
        changed += [_changed(photographs[row], name, bool(referred[row]), old[row], new[row]) for row in rows]
    return GateReport(
        limits=limits,
        images_sha256=images_sha256,
        refusals=tuple(sentence for name, gate in found.items() for sentence in _refusals(name, gate, limits)),
        tasks=found,
        changed=tuple(sorted(changed, key=lambda one: (not one.is_lost, one.task, one.image))),
    )


def _on_labels(
    photographs: Sequence[LabelledPhotograph], task: Task, old: F32, new: F32, point: float
) -> dict[str, Any]:
    """The fields of a `TaskGate` that only labelled photographs have."""
    rows, grades = labelled_rows(photographs, task)
    change: dict[str, Change] = {}
    if len(rows):
        patients, rng = [photographs[row].patient_id for row in rows], np.random.default_rng(0)
        change = measure_change(task, grades, old[rows], new[rows], point, patients, rng=rng)
    return {"labelled": len(rows), "referable": int((grades >= task.referable_from).sum()), "change": change}


def _changed(photograph: LabelledPhotograph, task: str, is_lost: bool, old: F32, new: F32) -> ChangedVerdict:
    return ChangedVerdict(
        image=str(photograph.path),
        task=task,
        is_lost=is_lost,
        grade=photograph.grades.get(task),
        fp32_probs=tuple(map(float, old)),
        engine_probs=tuple(map(float, new)),
    )


def _refusals(task: str, gate: TaskGate, limits: GateLimits) -> list[str]:
    said = []
    if gate.labelled < limits.least_photographs:
        said.append(f"{task}: {gate.labelled} labelled photographs decide nothing, at least {limits.least_photographs}")
    if gate.referable < limits.least_referable:
        said.append(f"{task}: {gate.referable} referable photographs decide nothing, at least {limits.least_referable}")
    if gate.grade_agreement < limits.grade_agreement:
        said.append(f"{task}: {gate.grade_agreement:.2%} keep their grade, at least {limits.grade_agreement:.2%}")
    for kind in ("lost", "gained"):
        share, most = getattr(gate, f"{kind}_referrals"), getattr(limits, f"{kind}_referrals")
        if share > most:
            count = round(share * gate.photographs)
            said.append(f"{task}: {count} of {gate.photographs} referrals {kind} ({share:.2%}), at most {most:.2%}")
    if gate.fp32 and gate.engine and gate.fp32.referable_auc and gate.engine.referable_auc is not None:
        kept = gate.engine.referable_auc / gate.fp32.referable_auc
        if kept < limits.referable_auc_kept:
            said.append(f"{task}: {kept:.3%} of the referable AUC is kept, at least {limits.referable_auc_kept:.3%}")
    for name, most in (
        ("quadratic_weighted_kappa", limits.kappa_loss),
        ("sensitivity", limits.sensitivity_loss),
        ("specificity", limits.specificity_loss),
    ):
        change = gate.change.get(name)
        if change is not None and -change.value > most + _ROUNDING:
            said.append(f"{task}: {name.replace('_', ' ')} falls by {-change.value:.4f}, at most {most:.4f}")
    return said
