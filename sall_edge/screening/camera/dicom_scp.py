"""A camera that sends its photographs by DICOM: a Storage SCP that holds each object in a folder until it is stored.

An object is on the disk before the camera is told that it arrived, so a power cut loses none. DICOM has no password:
the port belongs into a network of the clinic's devices and nothing else.
"""

import errno
import math
import threading
from datetime import datetime, timezone
from pathlib import Path

from pydicom.config import IGNORE
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    OphthalmicPhotography8BitImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    VLPhotographicImageStorage,
)
from pynetdicom import AE, evt

from sall_edge.errors import CameraError, OutputError
from sall_edge.fundus.decode import read_bytes
from sall_edge.screening.camera.delivering import DeliveringCamera
from sall_edge.screening.camera.dicom_photograph import capture_of_dicom
from sall_edge.screening.camera.source import Capture, Moment
from sall_edge.writing import PRIVATE, file_being_written, flush

__all__ = ["AE_TITLE", "PORT", "DicomCamera", "open_dicom_scp"]

AE_TITLE, PORT = "SALL_EDGE", 11112
"""What a camera is set to send to, unless told otherwise; the port is the one registered for DICOM."""

_EVER = Moment(utc=datetime.min.replace(tzinfo=timezone.utc), monotonic_s=-math.inf)

VERIFICATION = UID("1.2.840.10008.1.1")
STORED, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000  # DICOM part 4, table B.2-1

STORAGE = (
    OphthalmicPhotography8BitImageStorage,
    VLPhotographicImageStorage,
    SecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
)
SYNTAXES = [JPEGBaseline8Bit, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless]
"""Those that pydicom decodes without further libraries; the camera's own JPEG first."""


class DicomCamera(DeliveringCamera):
    """A `Camera` whose photographs are sent to this device.

    Args:
        folder: Holds what arrived and is not stored yet.
        name: For records.
        address, port, ae_title: Where the camera sends to.
    """

    def __init__(self, folder: Path, *, name: str, address: str, port: int, ae_title: str) -> None:
        self._folder = folder
        self._files: dict[str, Path] = {}
        self._lock = threading.Lock()
        super().__init__(folder, name=name, suffixes=(".dcm",))
        entity = AE(ae_title=ae_title)
        entity.require_called_aet = True
        for uid in STORAGE:
            entity.add_supported_context(uid, SYNTAXES)
        entity.add_supported_context(VERIFICATION)
        try:
            server = entity.start_server((address, port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._received)])
        except OSError as cause:
            self._arrivals.close()
            why = cause.strerror or str(cause)
            raise CameraError(f"cannot listen on port {port}", why, "choose another port: dicom:PORT") from cause
        assert server is not None  # it is one when block is False
        self._server = server

    @property
    def port(self) -> int:
        """That it listens on."""
        return int(self._server.server_address[1])

    @property
    def awaited_since(self) -> Moment:
        """Ever: the camera was told that each object that is held here arrived, and does not send it again."""
        return _EVER

    def capture(self, since: Moment, *, timeout_s: float) -> Capture | None:
        """The next photograph that arrived at `since` or later; see `Camera.capture`."""
        arrival = self._arrivals.next(since, timeout_s=timeout_s)
        if arrival is None:
            return None
        with self._lock:
            self._files[arrival.capture.origin.details["SOPInstanceUID"]] = arrival.path
        return arrival.capture

    def stored(self, capture: Capture) -> None:
        """Removes what the folder held of it."""
        with self._lock:
            path = self._files.pop(capture.origin.details.get("SOPInstanceUID", ""), None)
        if path is not None:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        super().close()

    def _received(self, event: evt.Event) -> int:
        """Answers the camera once the object is on the disk."""
        uid = UID(str(getattr(event.request, "AffectedSOPInstanceUID", "")), validation_mode=IGNORE)
        if not uid.is_valid:  # it becomes a file's name
            return CANNOT_UNDERSTAND
        try:
            with file_being_written(self._folder / f"{uid}.dcm", mode=PRIVATE) as temporary:
                temporary.write_bytes(event.encoded_dataset())
            flush(self._folder)
        except (OutputError, OSError) as problem:
            cause = problem if isinstance(problem, OSError) else problem.__cause__
            is_full = isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
            return OUT_OF_RESOURCES if is_full else CANNOT_UNDERSTAND
        return STORED

    def _read(self, path: Path, arrived: Moment) -> Capture:
        return capture_of_dicom(read_bytes(path), arrived=arrived, camera=self.name, name=path.name)


def open_dicom_scp(
    folder: Path, *, port: int = PORT, ae_title: str = AE_TITLE, address: str = "", name: str | None = None
) -> DicomCamera:
    """A Storage SCP as a camera.

    Args:
        folder: Made if it is not there; what it holds of an earlier run is given as if it had arrived then.
        port: 0 takes a free one.
        ae_title: At most 16 characters.
        address: Of the network to listen on; "" is every one.
        name: For records.

    Raises:
        CameraError: The port is taken, or the folder cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as cause:
        why = cause.strerror or str(cause)
        raise CameraError(f"cannot make {folder}", why, "name a folder that can be written") from cause
    for unfinished in folder.glob(".*.dcm"):  # of a process that died while it received; the camera was told nothing
        unfinished.unlink(missing_ok=True)
    return DicomCamera(folder, name=name or f"dicom {ae_title}", address=address, port=port, ae_title=ae_title)
