"""DICOM objects as fundus cameras send them, and the sending, by pynetdicom's own client."""

from io import BytesIO

import cv2
import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    JPEGBaseline8Bit,
    OphthalmicPhotography8BitImageStorage,
    generate_uid,
)
from pynetdicom import AE

__all__ = ["dicom_bytes", "ophthalmic_photograph", "send"]


def ophthalmic_photograph(
    pixels: np.ndarray, *, person: str = "4711", eye: str = "R", syntax: UID = JPEGBaseline8Bit
) -> Dataset:
    """An Ophthalmic Photography object; what a receiver looks at, not all that the standard asks for."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = OphthalmicPhotography8BitImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = generate_uid()
    dataset.PatientID, dataset.PatientName, dataset.ImageLaterality = person, "Doe^Jane", eye
    dataset.ManufacturerModelName = "Phantom 45"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    if syntax == JPEGBaseline8Bit:
        dataset.PhotometricInterpretation = "YBR_FULL_422"
        dataset.PixelData = encapsulate([bytes(cv2.imencode(".jpg", pixels[..., ::-1])[1])])
        dataset["PixelData"].is_undefined_length = True
    else:
        dataset.PhotometricInterpretation = "RGB"
        dataset.PixelData = pixels.tobytes()
    return dataset


def dicom_bytes(dataset: Dataset) -> bytes:
    """The object as a file."""
    file = BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def send(dataset: Dataset, *, port: int, ae_title: str = "SALL_EDGE") -> int | None:
    """Sends by C-STORE; the answer's status, None where the association is refused."""
    entity = AE(ae_title="CAMERA")
    entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", port, ae_title=ae_title)
    if not association.is_established:
        return None
    try:
        return int(association.send_c_store(dataset).Status)
    finally:
        association.release()
