"""The least that a photograph can take with this decoder and this engine: nothing of the project's own is in it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from sall_edge.runtime.session import Session
from sall_edge.spec import Backend

__all__ = ["DECODE_FLOOR", "REQUEST_FLOOR", "TOTAL_FLOOR", "Floor", "FloorTimes", "bare_request", "without_request"]

U8 = npt.NDArray[np.uint8]
Request = Callable[[], object]

DECODE_FLOOR = "file read and bare decode at the same scale"
REQUEST_FLOOR = "bare OpenVINO request on a ready buffer"
TOTAL_FLOOR = "file read, bare decode and bare request"

_FLAGS = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorTimes:
    """Milliseconds of one photograph; None where there is no bare request to compare with."""

    decode_ms: float
    infer_ms: float | None

    @property
    def total_ms(self) -> float | None:
        """From file to outputs."""
        return None if self.infer_ms is None else self.decode_ms + self.infer_ms


class Floor:
    """Measures it.

    Args:
        request: From `bare_request`.
    """

    def __init__(self, request: Request | None) -> None:
        self._request = request

    def measure(self, path: Path, scale_denominator: int) -> FloorTimes:
        """One photograph, from its file.

        Args:
            path: A photograph that can be read.
            scale_denominator: What the product decodes it at: 1, 2, 4 or 8.
        """
        log = cv2.utils.logging
        level = log.setLogLevel(log.LOG_LEVEL_SILENT)  # as in `fundus.decode`: OpenCV warns of harmless TIFF tags
        start = time.perf_counter()
        cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), _FLAGS[scale_denominator])
        decoded = time.perf_counter()
        if self._request is not None:
            self._request()
        end = time.perf_counter()
        log.setLogLevel(level)
        infer_ms = (end - decoded) * 1e3 if self._request is not None else None
        return FloorTimes(decode_ms=(decoded - start) * 1e3, infer_ms=infer_ms)


def bare_request(session: Session, square: U8) -> Request | None:
    """What runs the session's network by OpenVINO alone, with the same hints and threads; None for another backend.

    Args:
        session: An open engine, from `open_session`.
        square: (side, side, 3) uint8; it lies in the request's buffer from here on.
    """
    if session.served_by.backend is not Backend.OPENVINO:
        return None
    from sall_edge.bench.speed.bare_request import BareRequest

    return BareRequest(session.engine.blob_path, square, threads=session.manifest.target.threads).infer


def without_request(backend: Backend) -> str:
    """Why inference has no floor, in words."""
    return f"none: {backend.value} has no bare request here"
