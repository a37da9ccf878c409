"""Codes of other people's vocabularies, where they fit, and this project's own for the rest."""

from typing import Any

from sall_edge.screening.report.content import Finding
from sall_edge.screening.report.identifiers import uid_of
from sall_edge.spec import Eye

__all__ = [
    "ABSENT",
    "DICOM_MODALITY",
    "IDENTIFIER_URI",
    "INTERPRETATION",
    "coded",
    "disease_code",
    "eye_site",
    "grade_code",
    "local",
]

ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
DICOM_MODALITY = "http://dicom.nema.org/resources/ontology/DCM"
IDENTIFIER_URI = "urn:ietf:rfc:3986"
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
OWN = f"urn:oid:{uid_of('codes')}"
"""This project's codes; their words stand beside them."""

ICDR = ("none", "mild", "moderate", "severe", "proliferative")
"""Grades that mean what LOINC's answer list LL2117-1 means; a task with others gets none of its codes."""
SEVERITY = {
    Eye.LEFT: ("71490-7", "Left eye Diabetic retinopathy severity level by Ophthalmoscopy"),
    Eye.RIGHT: ("71491-5", "Right eye Diabetic retinopathy severity level by Ophthalmoscopy"),
}
"""LOINC has no term for the same level by software from a photograph: `method` says how it was found."""
ANSWERS = {
    "none": ("LA18643-9", "No apparent retinopathy"),
    "mild": ("LA18644-7", "Mild non-proliferative retinopathy"),
    "moderate": ("LA18645-4", "Moderate non-proliferative retinopathy"),
    "severe": ("LA18646-2", "Severe non-proliferative retinopathy"),
    "proliferative": ("LA18648-8", "Proliferative retinopathy"),
}
SITES = {Eye.LEFT: ("8966001", "Left eye structure"), Eye.RIGHT: ("18944008", "Right eye structure")}

Coding = dict[str, Any]


def coded(*codings: Coding, text: str | None = None) -> dict[str, Any]:
    """A FHIR CodeableConcept."""
    return {"coding": list(codings), **({"text": text} if text else {})}


def local(code: str) -> Coding:
    """A code of this project."""
    return {"system": OWN, "code": "-".join(code.split())}


def disease_code(finding: Finding, eye: Eye) -> tuple[Coding, ...]:
    """LOINC's term for what is graded, where it has one."""
    return (_coding(LOINC, SEVERITY[eye]),) if _is_icdr(finding) else ()


def grade_code(finding: Finding) -> tuple[Coding, ...]:
    """LOINC's answer for the grade, where it has one."""
    return (_coding(LOINC, ANSWERS[finding.grade_name]),) if _is_icdr(finding) and finding.grade_name else ()


def eye_site(eye: Eye) -> Coding:
    """SNOMED CT's body structure."""
    return _coding(SNOMED, SITES[eye])


def _is_icdr(finding: Finding) -> bool:
    return finding.task == "dr" and finding.grades == ICDR


def _coding(system: str, known: tuple[str, str]) -> Coding:
    return {"system": system, "code": known[0], "display": known[1]}
