"""A document as a FHIR R4 Bundle: person, software, eyes, diseases, the report with its page inside.

No status is ever `final`, which FHIR keeps for what an authorised person verified. A disease without a decided result
has no value and says why (`dataAbsentReason`); nothing that is not known stands where a negative could be read.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any

from fhir.resources.R4B.bundle import Bundle
from pydantic import ValidationError

from sall_edge.errors import DocumentError
from sall_edge.screening.report.codes import (
    ABSENT,
    DICOM_MODALITY,
    IDENTIFIER_URI,
    INTERPRETATION,
    coded,
    disease_code,
    eye_site,
    grade_code,
    local,
)
from sall_edge.screening.report.content import Content, EyeContent, Finding, Standing
from sall_edge.screening.report.identifiers import DicomInstance, study_uid, uuid_of
from sall_edge.spec import broken_rules

__all__ = ["fhir_of"]

Resource = dict[str, Any]

INTERPRETATIONS = {
    Standing.URGENT: ("POS", "Positive"),
    Standing.REFERABLE: ("POS", "Positive"),
    Standing.NOT_REFERABLE: ("NEG", "Negative"),
    Standing.OPEN: ("IND", "Indeterminate"),
}
GENDERS = {"M": "male", "F": "female", "O": "other", None: "unknown"}


def fhir_of(content: Content, pdf: bytes, *, instances: Sequence[DicomInstance] = ()) -> bytes:
    """The bundle as JSON in UTF-8, validated.

    Args:
        content: What was found.
        pdf: The page that says it.
        instances: The DICOM objects that exist of it; none leaves the ImagingStudy away.

    Raises:
        DocumentError: It is no valid bundle.
    """
    about = _About(content)
    observations = [one for eye in content.eyes for one in _observations(about, eye)]
    study = [_study(about, instances)] if instances else []
    report = _report(about, pdf, observations, study)
    resources = [report, _patient(about), _device(about), *observations, *study]
    bundle = {
        "resourceType": "Bundle",
        "id": about.id("bundle"),
        "identifier": {"system": IDENTIFIER_URI, "value": f"urn:uuid:{about.id('bundle')}"},
        "type": "collection",
        "timestamp": about.time,
        "entry": [{"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource} for resource in resources],
    }
    _validate(bundle)
    return json.dumps(bundle, ensure_ascii=False, indent=1).encode()


def _validate(bundle: Resource) -> None:
    try:
        Bundle.model_validate(bundle)
    except ValidationError as cause:
        what = "the examination is no valid FHIR bundle"
        raise DocumentError(what, broken_rules(cause), "correct the named entries") from cause


class _About:
    """What every resource repeats."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.time = content.dated.isoformat(timespec="seconds")
        self.subject = self.reference("patient")
        self.device = self.reference("device")

    def id(self, *names: str) -> str:
        return str(uuid_of(self.content.examination_id, self.content.fingerprint, "fhir", *names))

    def reference(self, *names: str) -> Resource:
        return {"reference": f"urn:uuid:{self.id(*names)}"}

    def resource(self, kind: str, *names: str) -> Resource:
        """A resource that says its language and that it is for research."""
        tag = {**local("research-use"), "display": self.content.label("research_use")}
        return {
            "resourceType": kind,
            "id": self.id(*names),
            "meta": {"tag": [tag]},
            "language": self.content.language,
        }


def _patient(about: _About) -> Resource:
    person = about.content.person
    patient = about.resource("Patient", "patient") | {
        "identifier": [{"system": local("person-reference")["system"], "value": person.reference}],
        "gender": GENDERS[person.sex],
    }
    if person.dicom_name:
        family, *given = person.dicom_name.partition("=")[0].split("^")
        parts = {"text": person.name, "family": family, "given": [name for name in given if name]}
        patient["name"] = [{key: value for key, value in parts.items() if value}]
    if person.birth_date:
        patient["birthDate"] = person.birth_date.isoformat()
    return patient


def _device(about: _About) -> Resource:
    content, made_by = about.content, about.content.made_by
    return about.resource("Device", "device") | {
        "manufacturer": "sall-edge",
        "deviceName": [{"name": f"sall-edge {made_by.software}", "type": "model-name"}],
        "type": coded(local("grading-software"), text=content.label("research_use")),
        "version": [
            {"type": coded(local("software")), "value": made_by.software},
            {"type": coded(local("engine-sha256")), "value": made_by.engine_sha256},
            {"type": coded(local("image-spec-sha256")), "value": made_by.image_spec_sha256},
            {"type": coded(local("target")), "value": f"{made_by.target}, {made_by.precision}"},
        ],
    }


def _observations(about: _About, eye: EyeContent) -> list[Resource]:
    """Whether the eye was graded, what follows from it, and each disease."""
    return [_gradability(about, eye), _outcome(about, eye), *(_disease(about, eye, one) for one in eye.findings)]


def _observation(about: _About, eye: EyeContent, name: str) -> Resource:
    return about.resource("Observation", "observation", eye.eye.value, name) | {
        "status": "preliminary",
        "subject": about.subject,
        "device": about.device,
        "effectiveDateTime": about.time,
        "bodySite": coded(eye_site(eye.eye), text=eye.title),
    }


def _gradability(about: _About, eye: EyeContent) -> Resource:
    content = about.content
    notes = [{"text": f"{shown.title}: {shown.quality}"} for shown in eye.photographs]
    found = _observation(about, eye, "gradability") | {
        "code": coded(local("gradability"), text=content.label("quality")),
        "note": notes,
    }
    if not eye.was_photographed:
        return found | {"dataAbsentReason": _absent("not-performed", content.label("not_photographed"))}
    if eye.is_gradable:
        return found | {"valueCodeableConcept": coded(local("gradable"), text=content.label("good"))}
    return found | {"valueCodeableConcept": coded(local("ungradable"), text=content.label("not_gradable"))}


def _outcome(about: _About, eye: EyeContent) -> Resource:
    found = _observation(about, eye, "outcome") | {
        "code": coded(local("outcome"), text=about.content.label("result")),
        **({"note": [{"text": reason} for reason in eye.reasons]} if eye.reasons else {}),
    }
    if eye.outcome is None:
        return found | {"dataAbsentReason": _absent("not-performed", eye.outcome_title)}
    return found | {"valueCodeableConcept": coded(local(f"outcome-{eye.outcome.value}"), text=eye.outcome_title)}


def _disease(about: _About, eye: EyeContent, finding: Finding) -> Resource:
    found = _observation(about, eye, finding.task) | {
        "code": coded(local(f"grade-{finding.task}"), *disease_code(finding, eye.eye), text=finding.title),
        "method": {"text": about.content.label("method")},
    }
    if finding.standing in INTERPRETATIONS:
        code, display = INTERPRETATIONS[finding.standing]
        interpretation = {"system": INTERPRETATION, "code": code, "display": display}
        found["interpretation"] = [coded(interpretation, text=finding.standing_title)]
    if finding.probability is not None:
        found["component"] = [_probability(about, finding.probability, finding.threshold)]
    if finding.grade_name is None:
        why = finding.grade_title or finding.standing_title
        return found | {"dataAbsentReason": _absent(_why_absent(eye, finding), why)}
    grade = coded(local(f"{finding.task}-{finding.grade_name}"), *grade_code(finding), text=str(finding.grade_title))
    return found | {"valueCodeableConcept": grade}


def _probability(about: _About, probability: float, threshold: float) -> Resource:
    return {
        "code": coded(local("referable-probability"), text=about.content.label("probability")),
        "valueQuantity": {"value": round(probability, 4)},
        "referenceRange": [{"high": {"value": round(threshold, 4)}}],
    }


def _why_absent(eye: EyeContent, finding: Finding) -> str:
    if finding.standing is Standing.OPEN:
        return "temp-unknown"  # a person will say
    return "unknown" if eye.was_photographed else "not-performed"


def _absent(code: str, text: str) -> Resource:
    return coded({"system": ABSENT, "code": code}, text=text)


def _study(about: _About, instances: Sequence[DicomInstance]) -> Resource:
    series: dict[str, Resource] = {}
    for instance in instances:
        one = series.setdefault(
            instance.series_uid,
            {
                "uid": instance.series_uid,
                "number": instance.series_number,
                "modality": {"system": DICOM_MODALITY, "code": instance.modality},
                **({"bodySite": eye_site(instance.eye.eye)} if instance.eye else {}),
                "instance": [],
            },
        )
        sop_class = {"system": IDENTIFIER_URI, "code": f"urn:oid:{instance.sop_class}"}
        known = {"uid": instance.instance_uid, "sopClass": sop_class, "number": instance.instance_number}
        one["instance"].append(known)
    uid = f"urn:oid:{study_uid(about.content)}"
    return about.resource("ImagingStudy", "study") | {
        "identifier": [{"system": "urn:dicom:uid", "value": uid}],
        "status": "available",
        "subject": about.subject,
        "started": about.time,
        "numberOfSeries": len(series),
        "numberOfInstances": len(instances),
        "series": list(series.values()),
    }


def _report(about: _About, pdf: bytes, observations: Sequence[Resource], study: Sequence[Resource]) -> Resource:
    content = about.content
    title = content.label("title")
    conclusion = [content.outcome_title, content.follow_up, *content.reasons, content.label("research_use")]
    page = {
        "contentType": "application/pdf",
        "language": content.language,
        "data": base64.b64encode(pdf).decode(),
        "title": title,
        "creation": about.time,
    }
    return about.resource("DiagnosticReport", "report") | {
        "identifier": [{"system": IDENTIFIER_URI, "value": f"urn:uuid:{content.examination_id}"}],
        "status": "preliminary" if content.is_finished else "partial",
        "code": coded(local("retinal-screening"), text=title),
        "subject": about.subject,
        "effectiveDateTime": about.time,
        "issued": about.time,
        "result": [{"reference": f"urn:uuid:{one['id']}"} for one in observations],
        **({"imagingStudy": [{"reference": f"urn:uuid:{one['id']}"} for one in study]} if study else {}),
        "conclusion": "\n".join(conclusion),
        "conclusionCode": [coded(local(f"outcome-{content.outcome.value}"), text=content.outcome_title)],
        "presentedForm": [page],
    }
