"""Which documents there are; apart, so that a command can offer them without loading what makes them."""

from enum import Enum

__all__ = ["DocumentKind"]


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
