"""Which documents there are and who reads them; apart: a command offers both without loading what makes them."""

from enum import Enum

from sall_edge.writing import PRIVATE

__all__ = ["DocumentKind", "Readers"]


class DocumentKind(str, Enum):
    """What a document is.

    Attributes:
        PDF: One page for people.
        DICOM: The page and the photographs, for an image archive.
        FHIR: A bundle with the page inside, for a record system.
    """

    PDF = "pdf"
    DICOM = "dicom"
    FHIR = "fhir"


class Readers(str, Enum):
    """Who may read the files of documents, which name a person.

    Attributes:
        OWNER: Whom the process runs as: files 0600, a folder that is made 0700.
        GROUP: The group of the folder too, such as a program that sends to an archive: files 0640, a folder 0750.
    """

    OWNER = "owner"
    GROUP = "group"

    @property
    def file_mode(self) -> int:
        """Of a document."""
        return PRIVATE if self is Readers.OWNER else 0o640

    @property
    def folder_mode(self) -> int:
        """Of a folder that is made for documents."""
        return 0o700 if self is Readers.OWNER else 0o750
