"""Names that an examination's objects have in every document, the same whenever and wherever they are computed."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID, uuid5

from sall_edge.screening.report.content import Content, EyeContent, Shown

__all__ = [
    "ENCAPSULATED_PDF",
    "SECONDARY_CAPTURE",
    "DicomInstance",
    "dicom_instances",
    "study_uid",
    "uid_of",
    "uuid_of",
]

NAMESPACE = UUID("4c2b9b5e-6d0b-5a53-9c8e-0a6f6a3d1f10")
"""Of this project; never changed, or documents of one examination would no longer belong together."""

ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomInstance:
    """One DICOM object of an examination.

    Attributes:
        name: Of its file, without suffix.
        sop_class, series_uid, instance_uid: DICOM UIDs; those of another content are others.
        modality: DICOM's code.
        series_number, instance_number: From 1.
        eye, shown: The photograph; None for the report.
    """

    name: str
    sop_class: str
    series_uid: str
    instance_uid: str
    modality: str
    series_number: int
    instance_number: int
    eye: EyeContent | None = None
    shown: Shown | None = None


def uuid_of(*names: str) -> UUID:
    """A UUID (version 5) that these names always give."""
    return uuid5(NAMESPACE, "/".join(names))


def uid_of(*names: str) -> str:
    """A DICOM UID below 2.25, the root of UUIDs (PS3.5, B.2)."""
    return f"2.25.{uuid_of(*names).int}"


def study_uid(content: Content) -> str:
    """The DICOM study that is the examination, whatever its content becomes."""
    return uid_of(content.examination_id, "study")


def dicom_instances(content: Content) -> tuple[DicomInstance, ...]:
    """The report, then one picture for each photograph that is shown; a series for the report and one for each eye."""
    return tuple(_instances(content))


def _instances(content: Content) -> Iterator[DicomInstance]:
    names = (content.examination_id, content.fingerprint)
    yield DicomInstance(
        name="report",
        sop_class=ENCAPSULATED_PDF,
        series_uid=uid_of(*names, "report"),
        instance_uid=uid_of(*names, "report", "1"),
        modality="DOC",
        series_number=1,
        instance_number=1,
    )
    for series_number, eye in enumerate(content.eyes, start=2):
        with_picture = [shown for shown in eye.photographs if shown.picture is not None]
        for number, shown in enumerate(with_picture, start=1):
            yield DicomInstance(
                name=f"{'right' if eye.eye.value == 'R' else 'left'}-{shown.view.value}",
                sop_class=SECONDARY_CAPTURE,
                series_uid=uid_of(*names, eye.eye.value),
                instance_uid=uid_of(*names, eye.eye.value, str(number)),
                modality="OT",
                series_number=series_number,
                instance_number=number,
                eye=eye,
                shown=shown,
            )
