"""The photograph in a DICOM file: its JPEG as the camera made it, or its pixels as PNG, and what the header says."""

from datetime import timezone
from io import BytesIO

import cv2
import numpy as np
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import pixel_array
from pydicom.uid import JPEGBaseline8Bit
from pydicom.valuerep import DT

from sall_edge.errors import UnreadablePhotograph
from sall_edge.fundus.decode import check_whole
from sall_edge.screening.camera.source import Capture, Moment, Origin
from sall_edge.spec import Eye

__all__ = ["capture_of_dicom"]

KEPT = ("SOPInstanceUID", "StudyInstanceUID", "AccessionNumber", "Manufacturer", "ManufacturerModelName")
"""What is kept of the header, besides person, eye and time."""

PNG_LEVEL = 1
"""Of zlib: photographs hardly get smaller above, and take ten times as long."""

ADOBE_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64" + bytes(5)
"""A JPEG segment that says version 100, no flags, no colour transform (Adobe Technical Note 5116)."""


def capture_of_dicom(data: bytes, *, arrived: Moment, camera: str, name: str) -> Capture:
    """The photograph, its person and its eye.

    Args:
        data: A DICOM file (part 10) with one colour image of 8 bits.
        arrived: When; the header's own time of acquisition is used where it has one with a time zone.
        camera: For records; the header's model is added to the details.
        name: For messages.

    Raises:
        UnreadablePhotograph: Truncated, no DICOM, or no colour photograph.
    """
    try:
        return _capture(dcmread(BytesIO(data)), arrived, camera, name)
    except UnreadablePhotograph:
        raise
    except Exception as cause:  # of a broken file pydicom may raise anything: struct.error, TypeError, OSError, its own
        raise _unreadable(name, str(cause) or type(cause).__name__) from cause


def _capture(dataset: Dataset, arrived: Moment, camera: str, name: str) -> Capture:
    image, suffix = _image(dataset, name)
    details = {keyword: str(dataset.get(keyword)) for keyword in KEPT if dataset.get(keyword)}
    origin = Origin(
        camera=camera, person_reference=str(dataset.get("PatientID") or "") or None, eye=_eye(dataset), details=details
    )
    return Capture(data=image, suffix=suffix, triggered=_triggered(dataset, arrived), origin=origin)


def _image(dataset: Dataset, name: str) -> tuple[bytes, str]:
    frames = int(dataset.get("NumberOfFrames") or 1)
    if "PixelData" not in dataset or frames != 1 or dataset.get("SamplesPerPixel") != 3:
        why = f"it holds {frames} frames of {dataset.get('SamplesPerPixel', 'no')} channels"
        raise _unreadable(name, why if "PixelData" in dataset else "it holds no pixels")
    if dataset.file_meta.TransferSyntaxUID == JPEGBaseline8Bit:
        jpeg = next(generate_frames(dataset.PixelData, number_of_frames=1)).rstrip(b"\0")
        check_whole(jpeg, name=name)
        return (_said_to_be_rgb(jpeg) if dataset.get("PhotometricInterpretation") == "RGB" else jpeg), ".jpg"
    pixels = np.ascontiguousarray(pixel_array(dataset, raw=False))  # RGB, whatever the photometric interpretation
    if pixels.dtype != np.uint8:
        raise _unreadable(name, f"its pixels are {pixels.dtype}, not of 8 bits")
    encoded = cv2.imencode(".png", pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])[1]
    return encoded.tobytes(), ".png"


def _said_to_be_rgb(jpeg: bytes) -> bytes:
    """With Adobe's marker, where no other one says how colours are coded: a decoder would take them for YCbCr."""
    is_said = jpeg[2:4] in (b"\xff\xe0", b"\xff\xee")  # APP0 (JFIF), APP14 (Adobe)
    return jpeg if is_said else jpeg[:2] + ADOBE_RGB + jpeg[2:]


def _eye(dataset: Dataset) -> Eye | None:
    said = {str(dataset.get(keyword) or "") for keyword in ("ImageLaterality", "Laterality")} & {"L", "R"}
    return Eye(said.pop()) if len(said) == 1 else None


def _triggered(dataset: Dataset, arrived: Moment) -> Moment:
    """A clock without a time zone is anybody's guess, and may be the camera's first of January."""
    try:
        taken = DT(str(dataset.get("AcquisitionDateTime") or ""))
    except ValueError:
        taken = None
    if taken is None or taken.tzinfo is None or taken > arrived.utc:
        return arrived
    return arrived.when(taken.astimezone(timezone.utc))


def _unreadable(name: str, why: str) -> UnreadablePhotograph:
    return UnreadablePhotograph(
        f"{name} is no DICOM photograph", why, "send one colour photograph of 8 bits in each object"
    )
