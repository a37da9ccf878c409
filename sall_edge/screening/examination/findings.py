"""What one photograph says: whether it counts, what is doubtful about it, and what it says of each disease."""

from collections.abc import Sequence
from dataclasses import dataclass

from sall_edge.screening.examination.disease import Disease, Level
from sall_edge.screening.examination.programme import Conflict
from sall_edge.screening.examination.reasons import Reason
from sall_edge.screening.examination.record import ExaminedPhotograph, TaskResult

__all__ = [
    "Finding",
    "conflict_reasons",
    "doubts",
    "findings_on",
    "is_gradable",
    "is_of_doubtful_side",
    "photograph_reasons",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a gradable photograph says of a disease.

    Attributes:
        disease: Of which.
        level: What it means.
        grade: The most probable one.
        probability: Of the grades that the programme refers.
        photograph_id: On which photograph.
    """

    disease: Disease
    level: Level
    grade: int
    probability: float
    photograph_id: str

    @property
    def severity(self) -> tuple[int, int, float]:
        """Orders findings of one disease: what it means, the grade, the probability."""
        return self.level, self.grade, self.probability

    @property
    def result(self) -> TaskResult:
        """As it is recorded."""
        words = self.disease.table.grades[self.grade]
        return TaskResult(
            task=self.disease.name,
            grade=self.grade,
            referable=self.level >= Level.REFERABLE,
            urgent=self.level == Level.URGENT,
            referable_probability=self.probability,
            photograph_id=self.photograph_id,
            code=words.code,
            title=words.title,
        )


def is_gradable(photograph: ExaminedPhotograph) -> bool:
    """Whether its grades count: readable, let through by the quality gate, and by the engine's quality task if any."""
    return photograph.screened.error is None and photograph.screened.gradable is True


def photograph_reasons(photograph: ExaminedPhotograph) -> tuple[str, ...]:
    """What to tell the operator at once: why to take it again, or what is doubtful about it; empty if neither.

    A doubtful side is said while the person still sits there. It does not ask for a retake by itself: a second
    photograph of the same wrong eye would agree with the first.
    """
    if photograph.screened.error is not None:
        return ("unreadable",)
    if not is_gradable(photograph):
        return photograph.screened.reasons
    return doubts(photograph)


def doubts(photograph: ExaminedPhotograph) -> tuple[str, ...]:
    """Why a human has to look at a gradable photograph whatever its grades are."""
    is_unfamiliar = photograph.familiarity is not None and photograph.familiarity.is_unfamiliar
    said = [(is_unfamiliar, Reason.UNFAMILIAR), (is_of_doubtful_side(photograph), Reason.LATERALITY)]
    return tuple(reason.key() for holds, reason in said if holds)


def is_of_doubtful_side(photograph: ExaminedPhotograph) -> bool:
    """Whether its disc lies on the side of the other eye than it counts for."""
    return photograph.eye_seen is not None and photograph.eye_seen != photograph.eye


def findings_on(photograph: ExaminedPhotograph, diseases: Sequence[Disease]) -> tuple[Finding, ...]:
    """One finding for each disease of a gradable photograph."""
    found = []
    for disease in diseases:
        verdict = photograph.screened.tasks[disease.name]
        found.append(
            Finding(
                disease=disease,
                level=disease.level(verdict),
                grade=verdict.grade,
                probability=disease.referable_probability(verdict),
                photograph_id=photograph.photograph_id,
            )
        )
    return tuple(found)


def conflict_reasons(findings: Sequence[Finding], conflicts: Sequence[Conflict]) -> tuple[str, ...]:
    """The pairs of diseases that contradict each other on one photograph.

    Both are in doubt or referable, and neither is sure. If one is sure it explains the lesions; if both are, the eye
    has both. Two photographs are never compared: the question is what the same lesions are.
    """
    by_name = {finding.disease.name: finding for finding in findings}
    keys = []
    for conflict in conflicts:
        pair = [by_name[name] for name in conflict.tasks]
        if all(finding.level >= Level.IN_DOUBT and finding.probability < conflict.sure_from for finding in pair):
            keys.append(Reason.CONFLICT.key(*conflict.tasks))
    return tuple(keys)
