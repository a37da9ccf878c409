"""DICOM objects: valid by the standard's tables, of one study, and the same bytes for the same content."""

import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from dicom_validator.validator.dicom_file_validator import DicomFileValidator
from dicom_validator.validator.error_handler import NullValidationResultHandler
from dicom_validator.validator.validation_result import Status
from fakes.dicom_standard import dicom_info
from fakes.reported_examination import MANIFEST, MARIA, PROGRAMME, content_of, examination
from pydicom import Dataset, dcmread

from sall_edge.errors import DocumentError
from sall_edge.screening.examination.record import Outcome, Person
from sall_edge.screening.messages import languages, load_language
from sall_edge.screening.report.compose import compose
from sall_edge.screening.report.content import Content, Letterhead
from sall_edge.screening.report.dicom import dicom_of
from sall_edge.screening.report.identifiers import ENCAPSULATED_PDF, SECONDARY_CAPTURE

PAGE = b"%PDF-1.7 of odd length"[:21]
SOME = (Outcome.REFERRAL, Outcome.UNGRADABLE_REFERRAL, Outcome.INCOMPLETE)
NOBODY = Person(reference="17")


def _files(content: Content) -> dict[str, Dataset]:
    return {name: dcmread(io.BytesIO(data)) for name, data in dicom_of(content, PAGE).items()}


@pytest.fixture(scope="module")
def files() -> dict[str, Dataset]:
    return _files(content_of(examination(Outcome.REFERRAL)))


@pytest.fixture(scope="module")
def validator() -> DicomFileValidator:
    info = dicom_info(ENCAPSULATED_PDF, SECONDARY_CAPTURE)
    return DicomFileValidator(info, error_handler=NullValidationResultHandler())


def _written(content: Content, folder: Path) -> list[Path]:
    paths = []
    for name, data in dicom_of(content, PAGE).items():
        paths.append(folder / f"{name}.dcm")
        paths[-1].write_bytes(data)
    return paths


@pytest.mark.parametrize("person", [MARIA, NOBODY], ids=["known", "only a number"])
@pytest.mark.parametrize("outcome", SOME)
def test_dicom_validator_finds_nothing(
    outcome: Outcome, person: Person, tmp_path: Path, validator: DicomFileValidator
) -> None:
    for path in _written(content_of(examination(outcome, person=person)), tmp_path):
        result = validator.validate(path)[str(path)]
        assert (result.status, result.module_errors) == (Status.Passed, {}), path.name


@pytest.mark.parametrize(
    ("name", "attribute"),
    [("report", "MIMETypeOfEncapsulatedDocument"), ("report", "PatientSex"), ("left-macula", "ConversionType")],
)
def test_dicom_validator_finds_an_attribute_that_is_missing(
    files: dict[str, Dataset], name: str, attribute: str, tmp_path: Path, validator: DicomFileValidator
) -> None:
    buffer = io.BytesIO()
    files[name].save_as(buffer)
    broken = dcmread(io.BytesIO(buffer.getvalue()))
    delattr(broken, attribute)
    broken.save_as(tmp_path / "broken.dcm")
    result = validator.validate(tmp_path / "broken.dcm")[str(tmp_path / "broken.dcm")]
    assert (result.status, result.errors) == (Status.Failed, 1)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed (Debian: dicom3tools)")
@pytest.mark.parametrize("language", languages())
def test_dciodvfy_finds_neither_error_nor_warning(language: str, tmp_path: Path) -> None:
    catalogue = load_language(language)
    for outcome in SOME:
        for path in _written(content_of(examination(outcome), catalogue=catalogue), tmp_path):
            done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
            assert done.returncode == 0
            assert done.stderr.split() in (["EncapsulatedPDF"], ["SCImage"]), f"{path.name}: {done.stderr}"


@pytest.mark.skipif(shutil.which("dcentvfy") is None, reason="dcentvfy is not installed (Debian: dicom3tools)")
def test_dcentvfy_finds_that_all_objects_tell_the_same_of_person_study_and_series(tmp_path: Path) -> None:
    paths = _written(content_of(examination(Outcome.REFERRAL)), tmp_path)
    done = subprocess.run(["dcentvfy", *paths], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_there_is_the_page_and_a_picture_of_each_view(files: dict[str, Dataset]) -> None:
    assert list(files) == ["report", "right-macula", "right-disc", "left-macula", "left-disc"]
    report = files["report"]
    assert (report.SOPClassUID, report.Modality) == (ENCAPSULATED_PDF, "DOC")
    assert report.EncapsulatedDocument == PAGE + b"\0"
    assert (report.EncapsulatedDocumentLength, report.MIMETypeOfEncapsulatedDocument) == (21, "application/pdf")
    assert (report.BurnedInAnnotation, report.VerificationFlag) == ("YES", "UNVERIFIED")


def test_a_view_without_a_photograph_has_no_object() -> None:
    assert list(_files(content_of(examination(Outcome.INCOMPLETE)))) == ["report", "left-macula"]


def test_the_pixels_are_those_of_the_evidence_or_the_photograph(files: dict[str, Dataset]) -> None:
    right, left = content_of(examination(Outcome.REFERRAL)).eyes
    clear, referable = right.photographs[0].picture, left.photographs[0].picture
    assert clear is not None
    assert clear.evidence is None
    assert np.array_equal(files["right-macula"].pixel_array, clear.square)
    assert referable is not None
    assert referable.evidence is not None
    assert np.array_equal(files["left-macula"].pixel_array, referable.evidence)


def test_person_study_and_side_are_the_same_everywhere(files: dict[str, Dataset]) -> None:
    for one in files.values():
        assert (one.PatientName, one.PatientID, one.PatientBirthDate, one.PatientSex) == (
            "Example^Maria",
            "CLINIC-0042",
            "19610517",
            "F",
        )
    assert len({one.StudyInstanceUID for one in files.values()}) == 1
    assert len({one.SOPInstanceUID for one in files.values()}) == len(files)
    assert len({one.SeriesInstanceUID for one in files.values()}) == 3
    sides = {name: one.get("Laterality") for name, one in files.items()}
    assert sides == {"report": None, "right-macula": "R", "right-disc": "R", "left-macula": "L", "left-disc": "L"}
    assert all(one.StudyInstanceUID.startswith("2.25.") and len(one.SOPInstanceUID) <= 64 for one in files.values())


@pytest.mark.parametrize("language", languages())
def test_every_object_says_that_it_is_for_research(language: str) -> None:
    catalogue = load_language(language)
    files = _files(content_of(examination(Outcome.REFERRAL), catalogue=catalogue))
    notice = catalogue.text("document.research_use")
    assert notice in files["report"].DocumentTitle
    assert all(notice in one.ImageComments for name, one in files.items() if name != "report")
    descriptions = {one.SeriesDescription for one in files.values()}
    assert descriptions == {catalogue.text(f"document.{name}_series") for name in ("document", "evidence")}
    assert all(len(one) <= 64 for one in descriptions)


def test_what_the_eye_means_stands_with_its_picture() -> None:
    files = _files(content_of(examination(Outcome.UNGRADABLE_REFERRAL)))
    comments = files["right-macula"].ImageComments.splitlines()
    assert comments[0] == "Right eye: Not gradable – refer"
    assert comments[1].startswith("not gradable: too dark")


def test_a_jpeg_is_said_to_have_lost_something(files: dict[str, Dataset]) -> None:
    assert files["left-macula"].LossyImageCompression == "01"
    record = examination(Outcome.REFERRAL)
    lossless = tuple(one.model_copy(update={"suffix": ".png"}) for one in record.photographs)
    others = _files(content_of(record.model_copy(update={"photographs": lossless})))
    assert "LossyImageCompression" not in others["left-macula"]


def test_the_same_content_gives_the_same_bytes_and_another_one_other_objects_of_the_same_study() -> None:
    record = examination(Outcome.REFERRAL)
    first, again = dicom_of(content_of(record), PAGE), dicom_of(content_of(record), PAGE)
    assert first == again
    english, german = _files(content_of(record)), _files(content_of(record, catalogue=load_language("de")))
    assert english["report"].StudyInstanceUID == german["report"].StudyInstanceUID
    assert not {one.SOPInstanceUID for one in english.values()} & {one.SOPInstanceUID for one in german.values()}


def test_letters_of_every_language_come_back() -> None:
    person = Person(reference="1", name="Łódź^Škoda=王^小明=")
    report = _files(content_of(examination(Outcome.REFERRAL, person=person)))["report"]
    assert str(report.PatientName).startswith("Łódź^Škoda=王^小明")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"reference": "9" * 65}, "the person's reference cannot be written as DICOM"),
        ({"reference": "a\\b"}, "the person's reference cannot be written as DICOM"),
        ({"name": "X" * 65}, r"the person's name \("),
        ({"name": "line\nbreak"}, r"the person's name \("),
    ],
)
def test_what_dicom_cannot_hold_is_an_error_and_not_cut(changes: dict[str, str], what: str) -> None:
    person = MARIA.model_copy(update=changes)
    with pytest.raises(DocumentError, match=what) as problem:
        dicom_of(content_of(examination(Outcome.REFERRAL, person=person)), PAGE)
    assert "64 characters" in problem.value.why


def test_a_clinics_name_is_the_institution() -> None:
    letterhead = Letterhead(clinic="Example Eye Clinic\n1 Sample Street")
    content = content_of(examination(Outcome.REFERRAL), letterhead=letterhead)
    assert _files(content)["left-disc"].InstitutionName == "Example Eye Clinic"


def test_without_pictures_only_the_page_is_written() -> None:
    record = examination(Outcome.REFERRAL)
    content = compose(record, MANIFEST, PROGRAMME, load_language("en"), pictures={})
    assert list(dicom_of(content, PAGE)) == ["report"]
