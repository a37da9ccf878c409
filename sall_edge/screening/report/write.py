"""Content -> files: what leaves the device."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sall_edge.errors import BackendMissing, DocumentError, OutputError
from sall_edge.screening.report.content import Content
from sall_edge.screening.report.identifiers import dicom_instances
from sall_edge.screening.report.kinds import DocumentKind, Readers
from sall_edge.writing import file_being_written, make_folder

__all__ = ["Document", "render_documents", "write_documents"]

LIBRARIES = ("typst", "pydicom", "highdicom", "fhir")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file before it is written."""

    name: str
    kind: DocumentKind
    data: bytes


def write_documents(
    content: Content, folder: Path, kinds: Iterable[DocumentKind], *, readers: Readers = Readers.OWNER
) -> tuple[Path, ...]:
    """Writes the documents of an examination; its id is in their names, nothing of the person is.

    All are made before the first is written, and each appears whole or not at all.

    Args:
        content: What they say.
        folder: Where they go; made if it is not there.
        kinds: Which; each once.
        readers: Who may read them.

    Raises:
        DocumentError: One cannot be made.
        BackendMissing: A library that makes them is not installed.
        OutputError: The folder cannot be written, or the umask keeps the readers out.
    """
    paths = []
    documents = render_documents(content, kinds)
    make_folder(folder, mode=readers.folder_mode)
    for document in documents:
        path = folder / document.name
        with file_being_written(path, mode=readers.file_mode) as temporary:
            _check_readers(temporary, readers)
            temporary.write_bytes(document.data)
        paths.append(path)
    return tuple(paths)


def _check_readers(file: Path, readers: Readers) -> None:
    if missing := readers.file_mode & ~file.stat().st_mode:
        what = f"{file.parent} does not let the {readers.value} read its documents"
        why = f"the umask or the folder's access control list takes {missing:03o} of {readers.file_mode:03o} away"
        raise OutputError(what, why, "start with umask 027 (systemd: UMask=0027)")


def render_documents(content: Content, kinds: Iterable[DocumentKind]) -> tuple[Document, ...]:
    """The documents as bytes, for a store or a network that takes them.

    Raises:
        DocumentError: One cannot be made, or no kind was asked for.
        BackendMissing: A library that makes them is not installed.
    """
    wanted = tuple(dict.fromkeys(kinds))
    if not wanted:
        raise DocumentError("no kind of document was asked for", "there is nothing to write", "ask for pdf")
    _check_libraries()
    from sall_edge.screening.report.pdf import pdf_of  # late: whoever only composes a content needs no typst

    pdf = pdf_of(content)
    return tuple(document for kind in wanted for document in _rendered(content, kind, pdf, wanted))


def _rendered(content: Content, kind: DocumentKind, pdf: bytes, wanted: tuple[DocumentKind, ...]) -> list[Document]:
    stem = content.examination_id
    match kind:
        case DocumentKind.PDF:
            return [Document(name=f"{stem}.pdf", kind=kind, data=pdf)]
        case DocumentKind.DICOM:
            from sall_edge.screening.report.dicom import dicom_of

            files = dicom_of(content, pdf)
            return [Document(name=f"{stem}-{name}.dcm", kind=kind, data=data) for name, data in files.items()]
        case DocumentKind.FHIR:
            from sall_edge.screening.report.fhir import fhir_of

            instances = dicom_instances(content) if DocumentKind.DICOM in wanted else ()
            return [Document(name=f"{stem}.fhir.json", kind=kind, data=fhir_of(content, pdf, instances=instances))]


def _check_libraries() -> None:
    for library in LIBRARIES:
        if find_spec(library) is None:
            why = "it makes the documents of an examination"
            raise BackendMissing(f"{library} is not installed", why, "pip install 'sall-edge[screening]'")
