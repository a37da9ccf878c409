"""A document as DICOM objects of one study: the page as an Encapsulated PDF, the photographs as Secondary Captures.

Everything that names a time says when the examination was, not when the file was written: the same content gives the
same bytes.
"""

from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom.sc import SCImage
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian

from sall_edge.errors import DocumentError
from sall_edge.screening.report.content import Content, EyeContent, Shown
from sall_edge.screening.report.identifiers import DicomInstance, dicom_instances, study_uid, uid_of

__all__ = ["dicom_of"]

U8 = npt.NDArray[np.uint8]

UTF_8 = "ISO_IR 192"
MANUFACTURER = "sall-edge"
LONGEST = 64
"""Characters of DICOM's LO and of each component group of PN."""
REPORT_CODE = Code("18748-4", "LN", "Diagnostic Imaging Report")  # CID 7000
UPRIGHT = ("L", "F")
"""Of a fundus photograph, rows and columns run to the person's left and feet: whoever takes it sits opposite."""


def dicom_of(content: Content, pdf: bytes) -> dict[str, bytes]:
    """DICOM files by their names without suffix: `report`, `right-macula`, ...

    Args:
        content: What was found.
        pdf: The page that says it.

    Raises:
        DocumentError: A text of the person or clinic cannot be written as DICOM.
    """
    _check(content)
    return {instance.name: _bytes(_dataset(content, instance, pdf)) for instance in dicom_instances(content)}


def _dataset(content: Content, instance: DicomInstance, pdf: bytes) -> Any:
    return _report(content, instance, pdf) if instance.shown is None else _capture(content, instance)


def _capture(content: Content, instance: DicomInstance) -> Any:
    """A photograph under its evidence, or alone where there is none."""
    eye, shown = instance.eye, instance.shown
    if eye is None or shown is None or shown.picture is None:
        raise ValueError(f"{instance.name} shows no photograph")
    pixels = shown.picture.square if shown.picture.evidence is None else shown.picture.evidence
    person, made_by = content.person, content.made_by
    capture = SCImage(
        pixel_array=np.ascontiguousarray(pixels),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=UPRIGHT,
        study_instance_uid=study_uid(content),
        series_instance_uid=instance.series_uid,
        series_number=instance.series_number,
        sop_instance_uid=instance.instance_uid,
        instance_number=instance.instance_number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name="sall-edge",
        software_versions=made_by.software,
        patient_id=person.reference,
        patient_name=person.dicom_name or "",
        patient_birth_date=_date(content),
        patient_sex=person.sex or "",
        laterality=eye.eye.value,
        series_description=content.label("evidence_series"),
        specific_character_set=UTF_8,
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    return _described(capture, content, eye, shown)


def _described(capture: Any, content: Content, eye: EyeContent, shown: Shown) -> Any:
    """The capture with what its pixels mean; highdicom's own attributes are about the moment of writing."""
    _identify(capture, content)
    capture.DateOfSecondaryCapture, capture.TimeOfSecondaryCapture = capture.ContentDate, capture.ContentTime
    for library in capture.ContributingEquipmentSequence:
        library.ContributionDateTime = _date_time(content)
    capture.BodyPartExamined = "EYE"
    capture.BurnedInAnnotation = "NO"
    if shown.is_lossy:
        capture.LossyImageCompression = "01"
    lines = [f"{eye.title}: {eye.outcome_title}", shown.quality, *eye.reasons, content.label("research_use")]
    capture.ImageComments = "\n".join(lines)
    software = content.label("software", version=content.made_by.software)
    described = shown.evidence_alt or shown.alt
    capture.DerivationDescription = f"{described} ({software}, {content.made_by.engine_sha256[:12]})"[:1024]
    return capture


def _report(content: Content, instance: DicomInstance, pdf: bytes) -> Any:
    person, made_by = content.person, content.made_by
    # Any, because pydicom turns every str into a type of its own.
    report: Any = FileDataset("", {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    report.SpecificCharacterSet = UTF_8
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = instance.sop_class
    report.SOPInstanceUID = report.file_meta.MediaStorageSOPInstanceUID = instance.instance_uid
    report.PatientName, report.PatientID = person.dicom_name or "", person.reference
    report.PatientBirthDate = _date(content) or ""
    report.PatientSex = person.sex or ""
    report.StudyInstanceUID, report.SeriesInstanceUID = study_uid(content), instance.series_uid
    report.Modality, report.SeriesNumber, report.InstanceNumber = instance.modality, instance.series_number, 1
    report.SeriesDescription = content.label("document_series")
    report.AccessionNumber = report.ReferringPhysicianName = ""
    report.Manufacturer, report.ManufacturerModelName = MANUFACTURER, "sall-edge"
    report.SoftwareVersions = made_by.software
    report.ConversionType = "WSD"
    _identify(report, content)
    report.AcquisitionDateTime = _date_time(content)
    report.BurnedInAnnotation = "YES"  # the page bears the person's name
    report.DocumentTitle = f"{content.label('title')}. {content.label('research_use')}"
    report.ConceptNameCodeSequence = [_code(REPORT_CODE)]
    report.VerificationFlag = "UNVERIFIED"
    report.MIMETypeOfEncapsulatedDocument = "application/pdf"
    report.EncapsulatedDocumentLength = len(pdf)
    report.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    return report


def _identify(dataset: Dataset, content: Content) -> None:
    """What is the same in every object: the study and its time, and where it was made."""
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = f"{content.dated:%Y%m%d}"
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = f"{content.dated:%H%M%S}"
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = dataset.ContentDate, dataset.ContentTime
    dataset.TimezoneOffsetFromUTC = "+0000"
    dataset.StudyID = content.examination_id[:8]
    dataset.StudyDescription = content.label("title")
    dataset.DeviceSerialNumber = content.made_by.engine_sha256
    if content.letterhead.clinic:
        dataset.InstitutionName = content.letterhead.clinic.splitlines()[0]


def _date(content: Content) -> str | None:
    born = content.person.birth_date
    return f"{born:%Y%m%d}" if born else None


def _date_time(content: Content) -> str:
    return f"{content.dated:%Y%m%d%H%M%S}+0000"


def _code(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item


def _bytes(dataset: Any) -> bytes:
    dataset.file_meta.ImplementationClassUID = uid_of("implementation")
    dataset.file_meta.ImplementationVersionName = "SALL-EDGE"
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _check(content: Content) -> None:
    texts: dict[str, Any] = {
        "the person's reference": content.person.reference,
        "the clinic's name": (content.letterhead.clinic or "").partition("\n")[0],
    }
    texts |= {f"the person's name ({group})": group for group in (content.person.dicom_name or "").split("=")}
    texts |= {f"the catalogue's {key}": content.label(key) for key in ("title", "document_series", "evidence_series")}
    for what, text in texts.items():
        if len(text) > LONGEST or "\\" in text or not text.isprintable():
            why = f"DICOM takes {LONGEST} characters at most, none of them a backslash or control character"
            raise DocumentError(f"{what} cannot be written as DICOM: {text!r}", why, "correct it, or leave DICOM away")
