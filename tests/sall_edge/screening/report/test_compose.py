"""What a document says: everything that is known, and never less doubt than there is."""

from collections.abc import Iterator
from datetime import timedelta, timezone

import pytest
from fakes.made_up_examination import DOUBTFUL_AMD, FAR, MODERATE_DR, UNREADABLE
from fakes.reported_examination import (
    LEFT_DISC,
    MANIFEST,
    MARIA,
    PROGRAMME,
    RIGHT_DISC,
    RIGHT_MACULA,
    Told,
    content_of,
    examination,
    examined,
    pictures_of,
)

from sall_edge.screening.examination.correction import of_other_eye
from sall_edge.screening.examination.record import Outcome, View
from sall_edge.screening.messages import languages, load_language
from sall_edge.screening.report.compose import compose
from sall_edge.screening.report.content import Content, EyeContent, Finding, Standing
from sall_edge.spec import Eye

BAD = {"gradable": False, "reasons": ("out_of_focus",), "tasks": {}}
DOUBTS = {
    "unfamiliar": Told(besides={RIGHT_MACULA: [{"familiarity": FAR}]}),
    "the wrong side": Told(besides={RIGHT_MACULA: [{"eye_seen": Eye.LEFT}]}),
    "a view is missing": Told(besides={RIGHT_DISC: ()}, is_finished=False),
    "a view is ungradable": Told(besides={RIGHT_DISC: [BAD] * 3}),
    "a view was given up": Told(besides={RIGHT_DISC: ()}, given_up=[RIGHT_DISC]),
    "nothing is gradable": Told(besides={RIGHT_MACULA: [BAD] * 3, RIGHT_DISC: [BAD] * 3}),
    "nothing was taken": Told(besides={RIGHT_MACULA: (), RIGHT_DISC: ()}, is_finished=False),
    "it was left out": Told(not_examined={Eye.RIGHT: "prosthesis"}),
}


def test_a_corrected_side_is_said_with_the_result_that_it_replaces() -> None:
    record = examined(DOUBTS["the wrong side"])
    wrong = next(one for one in record.photographs if one.eye_seen is not one.eye and one.eye_seen is not None)
    corrected = of_other_eye(record, wrong.photograph_id, PROGRAMME, MANIFEST.tasks, at=record.started_at)
    content = content_of(corrected)
    assert content.reasons[-2:] == (
        "Left eye, macula: corrected, it had been taken for the other eye",
        "The result before the correction was “A person has to grade”",
    )
    left = content.eyes[1]
    assert next(shown for shown in left.photographs if shown.view is View.MACULA).attempts == 2
    assert not _right(content).photographs[0].attempts


def _right(content: Content) -> EyeContent:
    return content.eyes[0]


def _findings(content: Content) -> Iterator[Finding]:
    return (finding for eye in content.eyes for finding in eye.findings)


@pytest.mark.parametrize("why", DOUBTS)
def test_an_eye_in_doubt_has_no_negative_finding(why: str) -> None:
    eye = _right(content_of(examined(DOUBTS[why])))
    assert eye.outcome is not Outcome.NO_REFERRAL
    assert {finding.standing for finding in eye.findings} <= {Standing.OPEN, Standing.NOT_GRADED}
    assert all(finding.grade is None and finding.grade_title is None for finding in eye.findings)
    assert all(finding.probability is None for finding in eye.findings)


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.NO_REFERRAL])
def test_no_other_outcome_says_what_a_negative_one_says(outcome: Outcome, language: str) -> None:
    catalogue = load_language(language)
    content = content_of(examination(outcome), catalogue=catalogue)
    assert content.outcome_title != catalogue.text("outcome.no_referral")
    assert content.follow_up != catalogue.text("follow_up.no_referral")


def test_a_doubt_about_one_disease_leaves_the_other_its_result() -> None:
    told = Told(besides={RIGHT_MACULA: [{"dr": MODERATE_DR, "amd": DOUBTFUL_AMD}]})
    dr, amd = _right(content_of(examined(told))).findings
    assert (dr.standing, dr.grade_title) == (Standing.REFERABLE, "moderate (ICDR 2)")
    assert (amd.standing, amd.grade_title, amd.probability) == (Standing.OPEN, None, None)
    assert amd.photograph_id is not None


def test_a_finding_says_grade_probability_and_operating_point() -> None:
    dr, amd = content_of(examination(Outcome.REFERRAL)).eyes[1].findings
    assert (dr.grade, dr.grade_name, dr.threshold) == (2, "moderate", 0.2)
    assert dr.probability == pytest.approx(0.9)
    assert (amd.standing, amd.grade_title) == (Standing.NOT_REFERABLE, "none")


def test_a_referral_whose_most_probable_grade_is_mild_does_not_show_that_grade() -> None:
    told = Told(besides={RIGHT_MACULA: [{"dr": (0.4, 0.3, 0.3, 0.0, 0.0)}]})
    dr = _right(content_of(examined(told))).findings[0]
    assert (dr.standing, dr.grade, dr.grade_name) == (Standing.REFERABLE, None, None)
    assert (dr.grade_title, dr.probability) == ("possibly moderate or worse", pytest.approx(0.3))


def test_a_clear_examination_is_the_only_one_whose_findings_are_all_negative() -> None:
    for outcome in Outcome:
        are_negative = {finding.standing for finding in _findings(content_of(examination(outcome)))}
        assert (are_negative == {Standing.NOT_REFERABLE}) == (outcome is Outcome.NO_REFERRAL)


def test_the_right_eye_comes_first_as_a_person_stands_in_front_of_the_reader() -> None:
    assert [eye.title for eye in content_of(examination(Outcome.REFERRAL)).eyes] == ["Right eye", "Left eye"]


def test_the_photograph_that_was_chosen_is_shown_and_the_other_one_named() -> None:
    content = content_of(examination(Outcome.REFERRAL))
    macula = content.eyes[1].photographs[0]
    assert (macula.title, macula.quality, macula.attempts_title) == ("Left eye, macula", "gradable", "2 attempts")
    assert macula.picture is not None
    assert macula.picture.tasks == ("dr",)
    assert "Diabetic retinopathy" in macula.evidence_alt
    assert content.retaken == ("Left eye, macula, attempt 1: out of focus",)


def test_attempts_that_failed_alike_are_one_line() -> None:
    retaken = content_of(examination(Outcome.UNGRADABLE_REFERRAL)).retaken
    assert retaken[0] == "Right eye, macula, attempts 1, 2: too dark, lashes, lid or glare at the edge"
    assert len(retaken) == 2


def test_an_attempt_that_was_good_and_not_shown_is_said_to_be_so() -> None:
    record = examined(Told(besides={LEFT_DISC: [{"dr": MODERATE_DR}, {}]}))
    assert content_of(record).retaken == ("Left eye, optic disc, attempt 2: another attempt was better",)


def test_an_ungradable_view_shows_its_last_photograph_and_says_why() -> None:
    macula = _right(content_of(examination(Outcome.UNGRADABLE_REFERRAL))).photographs[0]
    assert (macula.is_gradable, macula.attempts) == (False, 3)
    assert macula.quality == "not gradable: too dark, lashes, lid or glare at the edge"
    assert "not gradable" in macula.alt


def test_a_view_that_was_never_taken_has_its_place() -> None:
    right = _right(content_of(examination(Outcome.INCOMPLETE)))
    assert [shown.quality for shown in right.photographs] == ["not photographed"] * 2
    assert not right.was_photographed


def test_an_eye_that_was_left_out_is_no_result_and_the_reason_is_told() -> None:
    content = content_of(examined(DOUBTS["it was left out"]))
    right = _right(content)
    assert (right.outcome, right.outcome_title) == (None, "Not examined")
    assert content.reasons == ("Right eye: not examined (prosthesis)",)


def test_what_the_operator_says_of_a_photograph_is_told() -> None:
    content = content_of(examined(DOUBTS["a view was given up"]))
    assert content.reasons == ("Right eye: the photograph of the optic disc could not be taken (cannot open the eye)",)


def test_what_only_one_eye_leaves_open_is_said_of_that_eye() -> None:
    content = content_of(examination(Outcome.UNGRADABLE_REFERRAL))
    assert "Right eye: Diabetic retinopathy" in content.not_assessed
    assert "the retina outside the photographs" in content.not_assessed


def test_a_disease_with_a_grade_is_not_said_to_be_unassessed_but_to_be_so_in_part() -> None:
    told = Told(besides={RIGHT_MACULA: [{"dr": MODERATE_DR}], RIGHT_DISC: [BAD] * 3})
    content = content_of(examined(told))
    assert _right(content).findings[0].standing is Standing.REFERABLE
    assert content.not_assessed[0] == ("Right eye: Diabetic retinopathy: only on some of the photographs that it needs")


def test_what_was_not_assessed_in_one_eye_and_in_part_in_the_other_is_said_of_each() -> None:
    told = Told(besides={RIGHT_MACULA: [BAD] * 3, RIGHT_DISC: [BAD] * 3, LEFT_DISC: [BAD] * 3})
    lines = content_of(examined(told)).not_assessed
    assert "Right eye: Diabetic retinopathy" in lines
    assert "Left eye: Diabetic retinopathy: only on some of the photographs that it needs" in lines


def test_numbers_are_written_as_the_language_writes_them() -> None:
    record = examination(Outcome.REFERRAL)
    assert "from P 0.20" in content_of(record).operating_points[0]
    assert "ab P 0,20" in content_of(record, catalogue=load_language("de")).operating_points[0]


@pytest.mark.parametrize(
    ("name", "read"),
    [("Škoda^Anna", "Škoda, Anna"), ("Wang^Xiao=王^小明=", "Wang, Xiao"), ("=王^小明", "王, 小明"), ("Solo", "Solo")],
)
def test_a_name_is_read_in_one_script(name: str, read: str) -> None:
    person = MARIA.model_copy(update={"name": name})
    content = content_of(examination(Outcome.NO_REFERRAL, person=person))
    assert (content.person.name, content.person.dicom_name) == (read, name)


def test_a_photograph_without_evidence_has_no_words_for_it() -> None:
    shown = [one for eye in content_of(examination(Outcome.REFERRAL)).eyes for one in eye.photographs]
    assert [bool(one.evidence_alt) for one in shown] == [
        one.picture is not None and one.picture.evidence is not None for one in shown
    ]
    assert any(one.evidence_alt for one in shown)


def test_it_is_dated_by_its_end_else_by_its_last_photograph() -> None:
    finished, open_one = examination(Outcome.NO_REFERRAL), examination(Outcome.INCOMPLETE)
    assert content_of(finished).dated == finished.finished_at
    assert content_of(open_one).dated == open_one.photographs[-1].taken_at
    assert not content_of(open_one).is_finished


def test_dates_are_in_universal_time_whatever_the_record_has() -> None:
    record = examination(Outcome.NO_REFERRAL)
    assert record.finished_at is not None
    elsewhere = record.finished_at.astimezone(timezone(timedelta(hours=5)))
    dated = content_of(record.model_copy(update={"finished_at": elsewhere})).dated
    assert dated.utcoffset() == timedelta(0)


def test_a_photograph_without_a_picture_is_named_and_not_shown() -> None:
    record = examination(Outcome.NO_REFERRAL)
    content = compose(record, MANIFEST, PROGRAMME, load_language("en"), pictures={})
    assert {shown.picture is None for shown in _right(content).photographs} == {True}
    assert {shown.quality for shown in _right(content).photographs} == {"gradable"}


def test_another_word_or_pixel_is_another_fingerprint_and_the_same_is_the_same() -> None:
    record = examination(Outcome.REFERRAL)
    first, again = content_of(record), content_of(record)
    pictures = pictures_of(record)
    changed = pictures[record.photographs[0].photograph_id]
    changed.square[0, 0, 0] ^= 1
    pixel = compose(record, MANIFEST, PROGRAMME, load_language("en"), pictures=pictures)
    german = content_of(record, catalogue=load_language("de"))
    assert first.fingerprint == again.fingerprint
    assert len({first.fingerprint, pixel.fingerprint, german.fingerprint}) == 3


def test_a_file_that_cannot_be_read_is_said_to_be_so() -> None:
    unreadable = {"gradable": None, "tasks": {}, "error": UNREADABLE.error}
    content = content_of(examined(Told(besides={RIGHT_MACULA: [unreadable, {}]})))
    assert content.retaken == ("Right eye, macula, attempt 1: the file cannot be read",)
