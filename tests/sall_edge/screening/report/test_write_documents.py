"""Documents as files: all or none that cannot be made, whole or not at all, no name of a person in theirs."""

import base64
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.reported_examination import MARIA, content_of, examination
from pydicom import dcmread

from sall_edge.errors import BackendMissing, DocumentError, OutputError
from sall_edge.screening.examination.record import Outcome
from sall_edge.screening.report import write
from sall_edge.screening.report.kinds import DocumentKind, Readers
from sall_edge.screening.report.write import render_documents, write_documents

STEM = "10000000-0000-4000-8000-000000000001"
PDF, DICOM, FHIR = DocumentKind.PDF, DocumentKind.DICOM, DocumentKind.FHIR


def test_every_kind_is_written_with_the_id_of_the_examination(tmp_path: Path) -> None:
    paths = write_documents(content_of(examination(Outcome.REFERRAL)), tmp_path / "new", DocumentKind)
    assert [path.name for path in paths] == [
        f"{STEM}.pdf",
        f"{STEM}-report.dcm",
        f"{STEM}-right-macula.dcm",
        f"{STEM}-right-disc.dcm",
        f"{STEM}-left-macula.dcm",
        f"{STEM}-left-disc.dcm",
        f"{STEM}.fhir.json",
    ]
    assert sorted((tmp_path / "new").iterdir()) == sorted(paths)


@pytest.mark.parametrize(("readers", "file", "made"), [(Readers.OWNER, 0o600, 0o700), (Readers.GROUP, 0o640, 0o750)])
def test_documents_are_read_by_their_owner_alone_unless_the_group_may(
    tmp_path: Path, umask: Callable[[int], int], readers: Readers, file: int, made: int
) -> None:
    umask(0o000)
    content = content_of(examination(Outcome.REFERRAL))
    paths = write_documents(content, tmp_path / "new", DocumentKind, readers=readers)
    assert {path.stat().st_mode & 0o777 for path in paths} == {file}
    assert (tmp_path / "new").stat().st_mode & 0o777 == made


def test_nobody_but_the_owner_reads_them_if_nothing_is_said(tmp_path: Path, umask: Callable[[int], int]) -> None:
    umask(0o000)
    (path,) = write_documents(content_of(examination(Outcome.REFERRAL)), tmp_path, [PDF])
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_umask_that_keeps_the_group_out_is_an_error_and_nothing_is_written(
    tmp_path: Path, umask: Callable[[int], int]
) -> None:
    umask(0o077)
    with pytest.raises(OutputError, match="does not let the group read its documents") as problem:
        write_documents(content_of(examination(Outcome.REFERRAL)), tmp_path, [PDF], readers=Readers.GROUP)
    assert problem.value.why == "the umask or the folder's access control list takes 040 of 640 away"
    assert problem.value.fix == "start with umask 027 (systemd: UMask=0027)"
    assert not list(tmp_path.iterdir())


def test_no_name_of_a_person_is_in_a_file_name() -> None:
    names = [document.name for document in render_documents(content_of(examination(Outcome.REFERRAL)), DocumentKind)]
    assert not [name for name in names if "Example" in name or "CLINIC" in name]


def test_page_in_dicom_and_fhir_is_the_page_itself() -> None:
    made = {one.name: one.data for one in render_documents(content_of(examination(Outcome.REFERRAL)), DocumentKind)}
    page = made[f"{STEM}.pdf"]
    report = dcmread(io.BytesIO(made[f"{STEM}-report.dcm"]))
    assert report.EncapsulatedDocument[: report.EncapsulatedDocumentLength] == page
    bundle = json.loads(made[f"{STEM}.fhir.json"])
    assert base64.b64decode(bundle["entry"][0]["resource"]["presentedForm"][0]["data"]) == page


def test_fhir_names_dicom_objects_only_if_they_are_made_too() -> None:
    content = content_of(examination(Outcome.REFERRAL))
    (alone,) = render_documents(content, [FHIR])
    both = render_documents(content, [FHIR, DICOM])
    assert b"ImagingStudy" not in alone.data
    assert both[0].kind is FHIR
    for document in both[1:]:
        assert str(dcmread(io.BytesIO(document.data)).SOPInstanceUID).encode() in both[0].data


def test_a_kind_asked_for_twice_is_made_once() -> None:
    content = content_of(examination(Outcome.REFERRAL))
    assert [document.kind for document in render_documents(content, [PDF, PDF])] == [PDF]


def test_no_kind_is_an_error() -> None:
    with pytest.raises(DocumentError, match="no kind of document was asked for"):
        render_documents(content_of(examination(Outcome.REFERRAL)), [])


def test_if_one_cannot_be_made_none_is_written(tmp_path: Path) -> None:
    person = MARIA.model_copy(update={"reference": "9" * 65})
    with pytest.raises(DocumentError, match="cannot be written as DICOM"):
        write_documents(content_of(examination(Outcome.REFERRAL, person=person)), tmp_path, [PDF, DICOM])
    assert not list(tmp_path.iterdir())


def test_a_document_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = content_of(examination(Outcome.REFERRAL))
    (path,) = write_documents(content, tmp_path, [PDF])
    before = path.read_bytes()

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="cannot write"):
        write_documents(content, tmp_path, [PDF])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_without_a_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "LIBRARIES", ("no_such_library",))
    with pytest.raises(BackendMissing, match="no_such_library is not installed") as problem:
        render_documents(content_of(examination(Outcome.REFERRAL)), [PDF])
    assert "sall-edge[screening]" in problem.value.fix


def test_all_documents_are_made_in_less_than_a_second() -> None:
    content = content_of(examination(Outcome.URGENT_REFERRAL))
    render_documents(content, DocumentKind)  # loads the libraries
    begin = time.process_time()
    render_documents(content, DocumentKind)
    assert time.process_time() - begin < 1


LOADED_BY = """
import sys
import sall_edge.screening.report.compose, sall_edge.screening.report.write
print(*sys.modules)
"""


def test_a_content_is_composed_without_a_library_that_makes_documents() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED_BY], capture_output=True, text=True, check=True)
    assert not {"typst", "pydicom", "highdicom", "fhir"} & set(done.stdout.split())
