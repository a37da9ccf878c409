"""Laws that hold for every examination, held against examinations that hypothesis makes up.

`_may_be_negative` is a second, independent reading of the rules, straight from the record.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from fakes.made_up_examination import (
    AMD,
    BLURRED,
    CLEAR_AMD,
    CLEAR_DR,
    DOUBTFUL_AMD,
    DOUBTFUL_DR,
    DR,
    FAR,
    ICDR,
    INTERMEDIATE_AMD,
    LATE_AMD,
    MODERATE_DR,
    NEAR,
    POINTS,
    PROLIFERATIVE_DR,
    TASKS,
    UNREADABLE,
    begun_with,
    photograph_of,
    screened_of,
    taken,
    with_all_clear,
)
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from sall_edge.screening.examination.disease import diseases_of
from sall_edge.screening.examination.examination import give_up, wanted
from sall_edge.screening.examination.findings import findings_on
from sall_edge.screening.examination.programme import Programme, load_programme, programme_names
from sall_edge.screening.examination.reasons import not_assessed_keys, outcome_of, person_keys
from sall_edge.screening.examination.record import Examination, ExaminedPhotograph, Outcome, View
from sall_edge.screening.examination.rules import ViewState, view_state
from sall_edge.spec import Eye

law = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no broken law

Step = ExaminedPhotograph | tuple[Eye, View]

DRS = (CLEAR_DR, DOUBTFUL_DR, MODERATE_DR, PROLIFERATIVE_DR)
AMDS = (CLEAR_AMD, DOUBTFUL_AMD, INTERMEDIATE_AMD, LATE_AMD)


def _simplex(grades: int) -> st.SearchStrategy[tuple[float, ...]]:
    weights = st.lists(st.floats(0.001, 1), min_size=grades, max_size=grades)
    return weights.map(lambda drawn: tuple(weight / sum(drawn) for weight in drawn))


def _mostly_healthy(
    healthy: tuple[float, ...], others: Sequence[tuple[float, ...]]
) -> st.SearchStrategy[tuple[float, ...]]:
    return st.one_of(st.just(healthy), st.just(healthy), st.sampled_from(others), _simplex(len(healthy)))


@st.composite
def photographs(draw: st.DrawFn, number: int = 0) -> ExaminedPhotograph:
    screened = draw(
        st.one_of(
            st.builds(screened_of, dr=_mostly_healthy(CLEAR_DR, DRS), amd=_mostly_healthy(CLEAR_AMD, AMDS)),
            st.just(screened_of()),
            st.sampled_from([BLURRED, UNREADABLE]),
        )
    )
    eye = draw(st.sampled_from(Eye))
    return photograph_of(
        number,
        screened,
        eye=eye,
        view=draw(st.sampled_from(View)),
        eye_seen=draw(st.sampled_from([eye, eye, eye, None, Eye.LEFT, Eye.RIGHT])),
        familiarity=draw(st.sampled_from([NEAR, NEAR, NEAR, None, FAR])),
        sha256=f"{draw(st.sampled_from([number, number, number, 0])):064x}",
    )


@st.composite
def programmes(draw: st.DrawFn) -> Programme:
    attempts = draw(st.integers(1, 3))
    changes = {"max_attempts": attempts, "good_photographs": draw(st.integers(1, min(2, attempts)))}
    return load_programme(draw(st.sampled_from(programme_names()))).model_copy(update=changes)


@st.composite
def steps(draw: st.DrawFn) -> list[Step]:
    count = draw(st.integers(0, 10))
    given_up = st.tuples(st.sampled_from(Eye), st.sampled_from(View))
    return [draw(st.one_of(photographs(n + 1), photographs(n + 1), photographs(n + 1), given_up)) for n in range(count)]


@dataclass(frozen=True)
class Case:
    """An examination with the programme that it follows."""

    examination: Examination
    programme: Programme


def _after(programme: Programme, done: Sequence[Step], left_out: Eye | None = None) -> Examination:
    """The examination after those of the steps that it allows."""
    examination = begun_with(programme, not_examined={left_out: "prosthesis"} if left_out else {})
    for step in done:
        eye, view = (step.eye, step.view) if isinstance(step, ExaminedPhotograph) else step
        if eye == left_out or view not in programme.views(eye):
            continue
        if isinstance(step, ExaminedPhotograph):
            examination = taken(examination, step, programme)
        elif view_state(examination, programme, eye, view) is ViewState.WANTED:
            examination = give_up(examination, eye, view, programme, TASKS)
    return examination


@st.composite
def cases(draw: st.DrawFn) -> Case:
    programme, left_out = draw(programmes()), draw(st.sampled_from([None, None, Eye.LEFT, Eye.RIGHT]))
    done = draw(steps())
    if draw(st.booleans()):  # then complete what is missing with healthy photographs
        completing = [
            photograph_of(100 + 10 * n + m, eye=asked.eye, view=asked.view)
            for n, asked in enumerate(programme.photographs)
            for m in range(programme.good_photographs)
        ]
        done = [*done, *completing]
    return Case(_after(programme, done, left_out), programme)


def _may_be_negative(case: Case) -> bool:
    """Whether everything wanted is there, gradable, familiar, on its side and without a finding."""
    examination, programme = case.examination, case.programme
    good = [p for p in examination.photographs if p.screened.gradable and p.screened.error is None]
    for asked in programme.photographs:
        if asked.eye.value in examination.not_examined:
            continue
        of_view = [p for p in examination.photographs if (p.eye, p.view) == (asked.eye, asked.view)]
        good_ones = [p for p in of_view if p in good]
        is_over = len(of_view) >= programme.max_attempts or any(
            (g.eye, g.view) == (asked.eye, asked.view) for g in examination.given_up
        )
        if not good_ones or not (is_over or len(good_ones) >= programme.good_photographs):
            return False
    if len({p.sha256 for p in good}) < len(good):
        return False
    for p in good:
        is_wrong_side = p.eye_seen is not None and p.eye_seen != p.eye
        if is_wrong_side or (p.familiarity is not None and p.familiarity.distance > p.familiarity.limit):
            return False
        for task in (DR, AMD):
            verdict = p.screened.tasks[task.name]
            near = sum(verdict.probs[2:]) >= 0.5 * POINTS[task.name]
            if verdict.referable or verdict.grade >= 2 or near:
                return False
    return True


@law
@given(cases())
def test_no_referral_is_said_exactly_when_nothing_is_missing_doubtful_or_found(case: Case) -> None:
    is_negative = case.examination.outcome is Outcome.NO_REFERRAL
    event(f"negative: {is_negative}")
    assert is_negative == _may_be_negative(case)


@law
@given(cases())
def test_an_examination_in_which_something_is_wanted_is_never_negative(case: Case) -> None:
    if wanted(case.examination, case.programme) is not None:
        assert case.examination.outcome is not Outcome.NO_REFERRAL


@law
@given(cases())
def test_a_persons_outcome_is_the_worst_eyes_and_follows_from_the_reasons(case: Case) -> None:
    results = case.examination.eyes.values()
    assert case.examination.outcome.severity == max(result.outcome.severity for result in results)
    for result in results:
        assert result.outcome is outcome_of(result.reasons)


@law
@given(cases(), photographs(50))
def test_another_photograph_never_makes_what_was_found_milder(case: Case, photograph: ExaminedPhotograph) -> None:
    before = case.examination
    assume(photograph.eye.value in before.eyes and photograph.view in case.programme.views(photograph.eye))
    after = taken(before, photograph, case.programme)
    if view_state(before, case.programme, photograph.eye, photograph.view) is ViewState.GRADABLE:
        assert after.outcome.severity >= before.outcome.severity
    open_kinds = ("missing", "ungradable", "given_up")  # what a gradable photograph is there to resolve
    for eye, result in before.eyes.items():
        found = [key for key in result.reasons if not key.startswith(open_kinds)]
        found_after = [key for key in after.eyes[eye].reasons if not key.startswith(open_kinds)]
        assert outcome_of(found_after).severity >= outcome_of(found).severity


@law
@given(cases(), st.data())
def test_a_worse_verdict_on_a_photograph_never_makes_the_outcome_milder(case: Case, data: st.DataObject) -> None:
    indices = [n for n, p in enumerate(case.examination.photographs) if p.screened.gradable]
    assume(indices)
    index = data.draw(st.sampled_from(indices))
    old = case.examination.photographs[index]
    screened = screened_of(dr=data.draw(_simplex(5)), amd=data.draw(_simplex(4)))
    new = old.model_copy(update={"screened": screened})
    diseases = diseases_of(case.programme, TASKS, POINTS)
    pairs = zip(findings_on(old, diseases), findings_on(new, diseases), strict=True)
    assume(all(worse.level >= finding.level for finding, worse in pairs))
    swapped = [new if n == index else p for n, p in enumerate(case.examination.photographs)]
    given_up = [(given.eye, given.view) for given in case.examination.given_up]
    left_out = next((Eye(eye) for eye in case.examination.not_examined), None)
    after = _after(case.programme, [*given_up, *swapped], left_out)
    before = _after(case.programme, [*given_up, *case.examination.photographs], left_out)
    assert after.outcome.severity >= before.outcome.severity


@law
@given(programmes(), st.lists(photographs(), max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_eyes_and_views_does_not_matter(
    programme: Programme, drawn: list[ExaminedPhotograph], random: Random
) -> None:
    named = [p.model_copy(update={"photograph_id": f"p{n}"}) for n, p in enumerate(drawn)]
    shuffled = list(named)
    random.shuffle(shuffled)
    one, other = _after(programme, named), _after(programme, shuffled)
    assert (one.outcome, one.reasons) == (other.outcome, other.reasons)
    backwards = programme.model_copy(update={"photographs": programme.photographs[::-1]})
    assert _after(backwards, named).reasons == one.reasons


@law
@given(programmes(), st.lists(photographs(), max_size=8))
def test_right_and_left_are_treated_alike(programme: Programme, drawn: list[ExaminedPhotograph]) -> None:
    other = {Eye.LEFT: Eye.RIGHT, Eye.RIGHT: Eye.LEFT, None: None}
    named = [p.model_copy(update={"photograph_id": f"p{n}"}) for n, p in enumerate(drawn)]
    mirrored = [p.model_copy(update={"eye": other[p.eye], "eye_seen": other[p.eye_seen]}) for p in named]
    one, mirror = _after(programme, named), _after(programme, mirrored)
    assert one.outcome is mirror.outcome
    for eye in Eye:
        assert one.eyes[eye.value].reasons == mirror.eyes[other[eye].value].reasons
        assert one.eyes[eye.value].tasks == mirror.eyes[other[eye].value].tasks


@law
@given(cases())
def test_an_examination_survives_json(case: Case) -> None:
    assert Examination.model_validate_json(case.examination.model_dump_json()) == case.examination


@law
@given(programmes(), steps())
def test_the_same_steps_give_the_same_examination(programme: Programme, done: list[Step]) -> None:
    first, second = _after(programme, done), _after(programme, done)
    assert first == second
    assert first.model_dump_json() == second.model_dump_json()


@law
@given(cases())
def test_every_key_that_is_given_is_listed(case: Case) -> None:
    diseases = case.programme.diseases
    views = {asked.view for asked in case.programme.photographs}
    assert {*case.examination.reasons} <= person_keys(diseases, views)
    for result in case.examination.eyes.values():
        assert {*result.not_assessed} <= not_assessed_keys(diseases)


@law
@given(programmes(), st.lists(st.booleans(), max_size=12))
def test_an_examination_ends_after_as_many_attempts_as_the_programme_allows(
    programme: Programme, luck: list[bool]
) -> None:
    examination, photographs_taken = begun_with(programme), 0
    while (asked := wanted(examination, programme)) is not None:
        is_good = photographs_taken < len(luck) and luck[photographs_taken]
        photographs_taken += 1
        screened = screened_of() if is_good else BLURRED
        photograph = photograph_of(photographs_taken, screened, eye=asked.eye, view=asked.view)
        examination = taken(examination, photograph, programme)
    assert photographs_taken <= programme.max_attempts * len(programme.photographs)
    assert examination.outcome in (Outcome.NO_REFERRAL, Outcome.UNGRADABLE_REFERRAL)


def test_a_negative_can_be_reached_in_every_programme() -> None:
    for name in programme_names():
        assert with_all_clear(load_programme(name)).outcome is Outcome.NO_REFERRAL
    assert ICDR.max_attempts == 3
