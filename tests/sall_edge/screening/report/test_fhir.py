"""The FHIR bundle: valid, whole, and without a negative value where nothing negative is known."""

import base64
import json
from typing import Any

import pytest
from fakes.made_up_examination import MODERATE_DR
from fakes.reported_examination import LEFT_DISC, MARIA, RIGHT_MACULA, Told, content_of, examination, examined
from fhir.resources.R4B.bundle import Bundle

from sall_edge.errors import DocumentError
from sall_edge.screening.examination.record import Outcome, Person, View
from sall_edge.screening.messages import languages, load_language
from sall_edge.screening.report import fhir
from sall_edge.screening.report.codes import LOINC
from sall_edge.screening.report.content import Content
from sall_edge.screening.report.fhir import fhir_of
from sall_edge.screening.report.identifiers import dicom_instances, study_uid
from sall_edge.spec import Eye

PAGE = b"%PDF-1.7"
NOBODY = Person(reference="17")


def _bundle(content: Content, **options: Any) -> dict[str, Any]:
    bundle: dict[str, Any] = json.loads(fhir_of(content, PAGE, **options))
    return bundle


def _resources(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    found = [entry["resource"] for entry in bundle["entry"]]
    return [one for one in found if one["resourceType"] == kind]


def _observations(outcome: Outcome | Content) -> dict[tuple[str, str], dict[str, Any]]:
    """By eye and code."""
    content = outcome if isinstance(outcome, Content) else content_of(examination(outcome))
    found = _resources(_bundle(content), "Observation")
    return {(one["bodySite"]["text"], one["code"]["coding"][0]["code"]): one for one in found}


def _codes(concept: dict[str, Any], system: str = LOINC) -> list[str]:
    return [coding["code"] for coding in concept["coding"] if coding["system"] == system]


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("person", [MARIA, NOBODY], ids=["known", "only a number"])
@pytest.mark.parametrize("outcome", Outcome)
def test_every_bundle_validates(outcome: Outcome, person: Person, language: str) -> None:
    content = content_of(examination(outcome, person=person), catalogue=load_language(language))
    data = fhir_of(content, PAGE, instances=dicom_instances(content))
    bundle = Bundle.model_validate_json(data)
    assert bundle.type == "collection"


def test_what_does_not_validate_is_an_error_and_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fhir.GENDERS, "F", 17)
    with pytest.raises(DocumentError, match="no valid FHIR bundle") as problem:
        fhir_of(content_of(examination(Outcome.REFERRAL)), PAGE)
    assert "gender" in problem.value.why


def test_every_reference_leads_to_a_resource_of_the_bundle() -> None:
    content = content_of(examination(Outcome.REFERRAL))
    bundle = _bundle(content, instances=dicom_instances(content))
    known = {entry["fullUrl"] for entry in bundle["entry"]}
    references = json.dumps(bundle).split('"reference": "')[1:]
    assert {one.partition('"')[0] for one in references} <= known
    assert len(known) == len(bundle["entry"])


def test_the_report_holds_page_conclusion_and_every_observation() -> None:
    content = content_of(examination(Outcome.REFERRAL))
    bundle = _bundle(content)
    (report,) = _resources(bundle, "DiagnosticReport")
    assert base64.b64decode(report["presentedForm"][0]["data"]) == PAGE
    assert report["conclusion"].splitlines() == [
        content.outcome_title,
        content.follow_up,
        *content.reasons,
        content.label("research_use"),
    ]
    assert len(report["result"]) == len(_resources(bundle, "Observation")) == 8
    assert report["identifier"][0]["value"] == f"urn:uuid:{content.examination_id}"


@pytest.mark.parametrize("outcome", Outcome)
def test_nothing_is_final_because_no_person_verified_it(outcome: Outcome) -> None:
    bundle = _bundle(content_of(examination(outcome)))
    statuses = {one["status"] for one in _resources(bundle, "Observation")}
    assert statuses == {"preliminary"}
    (report,) = _resources(bundle, "DiagnosticReport")
    assert report["status"] == ("partial" if outcome is Outcome.INCOMPLETE else "preliminary")


def test_a_referral_of_an_examination_that_was_not_finished_is_partial() -> None:
    told = Told(besides={RIGHT_MACULA: [{"dr": MODERATE_DR}], LEFT_DISC: ()}, is_finished=False)
    content = content_of(examined(told))
    assert content.outcome is not Outcome.INCOMPLETE
    (report,) = _resources(_bundle(content), "DiagnosticReport")
    assert report["status"] == "partial"


def test_a_graded_eye_has_loincs_terms_for_diabetic_retinopathy() -> None:
    found = _observations(Outcome.REFERRAL)
    right, left = found["Right eye", "grade-dr"], found["Left eye", "grade-dr"]
    assert (_codes(left["code"]), _codes(left["valueCodeableConcept"])) == (["71490-7"], ["LA18645-4"])
    assert (_codes(right["code"]), _codes(right["valueCodeableConcept"])) == (["71491-5"], ["LA18643-9"])
    assert "not verified by a person" in left["method"]["text"]
    assert _codes(found["Left eye", "grade-amd"]["code"]) == []
    assert left["component"][0]["valueQuantity"]["value"] == pytest.approx(0.9)
    assert left["component"][0]["referenceRange"][0]["high"]["value"] == pytest.approx(0.2)


def test_a_referral_is_positive_and_a_clear_disease_negative() -> None:
    found = _observations(Outcome.REFERRAL)
    assert found["Left eye", "grade-dr"]["interpretation"][0]["coding"][0]["code"] == "POS"
    assert found["Left eye", "grade-amd"]["interpretation"][0]["coding"][0]["code"] == "NEG"


@pytest.mark.parametrize(
    ("outcome", "reason", "interpretation"),
    [
        (Outcome.UNGRADABLE_REFERRAL, "unknown", None),
        (Outcome.HUMAN_GRADING, "temp-unknown", "IND"),
        (Outcome.INCOMPLETE, "not-performed", None),
    ],
)
def test_what_is_not_known_has_a_reason_and_never_a_value(
    outcome: Outcome, reason: str, interpretation: str | None
) -> None:
    found = _observations(outcome)
    for task in ("dr", "amd"):
        one = found["Right eye", f"grade-{task}"]
        assert one["dataAbsentReason"]["coding"][0]["code"] == reason
        assert not [key for key in one if key.startswith("value")]
        assert "component" not in one
        said = [coding["code"] for concept in one.get("interpretation", []) for coding in concept["coding"]]
        assert said == ([interpretation] if interpretation else [])


def test_no_negative_code_stands_anywhere_in_a_bundle_without_a_negative_eye() -> None:
    told = Told(besides={(eye, view): () for eye in Eye for view in View}, is_finished=False)
    text = fhir_of(content_of(examined(told)), PAGE).decode()
    assert not [code for code in ("LA18643-9", '"NEG"', "dr-none", "outcome-no_referral", '"gradable"') if code in text]


def test_gradability_is_an_observation_of_its_own() -> None:
    found = _observations(Outcome.UNGRADABLE_REFERRAL)
    right, left = found["Right eye", "gradability"], found["Left eye", "gradability"]
    assert right["valueCodeableConcept"]["coding"][0]["code"] == "ungradable"
    assert left["valueCodeableConcept"]["coding"][0]["code"] == "gradable"
    assert "too dark" in right["note"][0]["text"]
    missing = _observations(Outcome.INCOMPLETE)["Right eye", "gradability"]
    assert missing["dataAbsentReason"]["coding"][0]["code"] == "not-performed"


def test_an_eye_that_was_left_out_has_no_outcome() -> None:
    found = _observations(content_of(examined(Told(not_examined={Eye.RIGHT: "prosthesis"}))))
    outcome = found["Right eye", "outcome"]
    assert outcome["dataAbsentReason"]["coding"][0]["code"] == "not-performed"
    assert "valueCodeableConcept" not in outcome


def test_the_device_is_software_and_engine() -> None:
    (device,) = _resources(_bundle(content_of(examination(Outcome.REFERRAL))), "Device")
    versions = {one["type"]["coding"][0]["code"]: one["value"] for one in device["version"]}
    assert versions["engine-sha256"] == "5e" * 32
    assert set(versions) == {"software", "engine-sha256", "image-spec-sha256", "target"}


def test_the_imaging_study_is_named_only_with_the_objects_that_exist() -> None:
    content = content_of(examination(Outcome.REFERRAL))
    assert not _resources(_bundle(content), "ImagingStudy")
    (study,) = _resources(_bundle(content, instances=dicom_instances(content)), "ImagingStudy")
    assert study["identifier"][0]["value"] == f"urn:oid:{study_uid(content)}"
    assert (study["numberOfSeries"], study["numberOfInstances"]) == (3, 5)


def test_the_person_is_named_as_far_as_known() -> None:
    (known,) = _resources(_bundle(content_of(examination(Outcome.REFERRAL))), "Patient")
    assert known["name"][0] == {"text": "Example, Maria", "family": "Example", "given": ["Maria"]}
    assert (known["gender"], known["birthDate"]) == ("female", "1961-05-17")
    (unknown,) = _resources(_bundle(content_of(examination(Outcome.REFERRAL, person=NOBODY))), "Patient")
    assert (unknown["gender"], "name" in unknown, "birthDate" in unknown) == ("unknown", False, False)


def test_every_resource_says_that_it_is_for_research_and_in_which_language() -> None:
    bundle = _bundle(content_of(examination(Outcome.REFERRAL), catalogue=load_language("de")))
    for entry in bundle["entry"]:
        assert entry["resource"]["meta"]["tag"][0]["code"] == "research-use"
        assert entry["resource"]["language"] == "de"


def test_the_same_content_gives_the_same_bytes() -> None:
    record = examination(Outcome.REFERRAL)
    assert fhir_of(content_of(record), PAGE) == fhir_of(content_of(record), PAGE)
