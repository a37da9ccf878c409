"""From photographs to what follows: one eye from its photographs, a person from both eyes. The worst decides.

Everything here is a function of the record and the programme: the order of eyes and of photographs does not matter,
and a finding on a gradable photograph is never overruled by another photograph.
"""

from collections.abc import Sequence
from enum import Enum

from sall_edge.screening.examination.disease import Disease, Level
from sall_edge.screening.examination.findings import Finding, conflict_reasons, doubts, findings_on, is_gradable
from sall_edge.screening.examination.programme import Programme
from sall_edge.screening.examination.reasons import Reason, of_eye, outcome_of, task_not_assessed, worst_first
from sall_edge.screening.examination.record import Examination, ExaminedPhotograph, EyeResult, View, worst
from sall_edge.spec import Eye

__all__ = ["ViewState", "judged", "photographs_of", "view_state"]


class ViewState(Enum):
    """Where an eye's view stands.

    Attributes:
        WANTED: More photographs are asked for.
        GRADABLE: As many gradable ones as the programme asks for, or one where no more can be had.
        UNGRADABLE: Every attempt is used up, and none is gradable.
        GIVEN_UP: The operator cannot take it, and none is gradable.
    """

    WANTED = "wanted"
    GRADABLE = "gradable"
    UNGRADABLE = "ungradable"
    GIVEN_UP = "given_up"


def photographs_of(examination: Examination, eye: Eye, view: View) -> tuple[ExaminedPhotograph, ...]:
    """All that were taken of an eye and view, in order."""
    return tuple(taken for taken in examination.counted if (taken.eye, taken.view) == (eye, view))


def view_state(examination: Examination, programme: Programme, eye: Eye, view: View) -> ViewState:
    """Where it stands now."""
    taken = photographs_of(examination, eye, view)
    good = sum(is_gradable(photograph) for photograph in taken)
    is_given_up = any((given.eye, given.view) == (eye, view) for given in examination.given_up)
    if good < programme.good_photographs and not is_given_up and len(taken) < programme.max_attempts:
        return ViewState.WANTED
    if good:
        return ViewState.GRADABLE
    return ViewState.GIVEN_UP if is_given_up else ViewState.UNGRADABLE


def judged(examination: Examination, programme: Programme, diseases: Sequence[Disease]) -> Examination:
    """The examination with the results that follow from its photographs."""
    left_out = [eye for eye in programme.eyes if eye.value in examination.not_examined]
    eyes = {
        eye.value: _eye_result(examination, programme, diseases, eye) for eye in programme.eyes if eye not in left_out
    }
    reasons = [of_eye(eye, Reason.NOT_EXAMINED.key()) for eye in left_out]
    for result in sorted(eyes.values(), key=lambda result: -result.outcome.severity):
        reasons += [of_eye(result.eye, key) for key in result.reasons]
    outcome = worst(result.outcome for result in eyes.values())
    return examination.model_copy(update={"eyes": eyes, "outcome": outcome, "reasons": tuple(reasons)})


def _eye_result(examination: Examination, programme: Programme, diseases: Sequence[Disease], eye: Eye) -> EyeResult:
    states = {view: view_state(examination, programme, eye, view) for view in programme.views(eye)}
    gradable = [taken for taken in examination.counted if taken.eye == eye and is_gradable(taken)]
    by_photograph = {taken.photograph_id: findings_on(taken, diseases) for taken in gradable}
    decisive = _decisive([finding for found in by_photograph.values() for finding in found], diseases)
    keys = [*_view_reasons(states), *_finding_reasons(decisive)]
    for taken in gradable:
        keys += doubts(taken)
        keys += conflict_reasons(by_photograph[taken.photograph_id], programme.conflicts)
    if _repeated(examination) & {taken.sha256 for taken in gradable}:
        keys.append(Reason.REPEATED.key())
    unanswered = [
        task_not_assessed(disease.name)
        for disease in diseases
        if any(states[view] is not ViewState.GRADABLE for view in disease.table.views)
    ]
    return EyeResult(
        eye=eye,
        outcome=outcome_of(keys),
        reasons=worst_first(keys),
        tasks=tuple(finding.result for finding in decisive),
        chosen=_chosen(examination, programme, by_photograph, eye),
        not_assessed=(*unanswered, *(named.value for named in programme.not_assessed)),
    )


def _decisive(findings: Sequence[Finding], diseases: Sequence[Disease]) -> tuple[Finding, ...]:
    """The worst finding of each disease, of equal ones the first; empty if nothing is gradable."""
    of_disease = {disease.name: [one for one in findings if one.disease.name == disease.name] for disease in diseases}
    return tuple(max(found, key=lambda finding: finding.severity) for found in of_disease.values() if found)


def _view_reasons(states: dict[View, ViewState]) -> list[str]:
    reason_of = {
        ViewState.WANTED: Reason.MISSING,
        ViewState.UNGRADABLE: Reason.UNGRADABLE,
        ViewState.GIVEN_UP: Reason.GIVEN_UP,
    }
    return [reason_of[state].key(view.value) for view, state in states.items() if state in reason_of]


def _finding_reasons(decisive: Sequence[Finding]) -> list[str]:
    reason_of = {
        Level.IN_DOUBT: Reason.LOW_CONFIDENCE,
        Level.REFERABLE: Reason.REFERABLE,
        Level.URGENT: Reason.URGENT,
    }
    return [reason_of[one.level].key(one.disease.name) for one in decisive if one.level in reason_of]


def _repeated(examination: Examination) -> set[str]:
    """Hashes of gradable files that stand for more than one photograph of the person."""
    hashes = [taken.sha256 for taken in examination.photographs if is_gradable(taken)]
    return {sha256 for sha256 in hashes if hashes.count(sha256) > 1}


def _chosen(
    examination: Examination, programme: Programme, by_photograph: dict[str, tuple[Finding, ...]], eye: Eye
) -> dict[str, str]:
    """By view: of the gradable photographs the one that says the worst, then the best; else the last one."""
    chosen = {}
    for view in programme.views(eye):
        taken = photographs_of(examination, eye, view)
        good = [photograph for photograph in taken if photograph.photograph_id in by_photograph]

        def says(photograph: ExaminedPhotograph) -> tuple[int, float]:
            level = max(finding.level for finding in by_photograph[photograph.photograph_id])
            return level, photograph.screened.quality_score or 0.0

        if taken:
            chosen[view.value] = max(good, key=says).photograph_id if good else taken[-1].photograph_id
    return chosen
