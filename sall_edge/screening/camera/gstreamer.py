"""GStreamer pipelines through PyGObject: Jetson's CSI sensors, and whatever else a pipeline reaches.

OpenCV's wheels have no GStreamer, and the OpenCV of JetPack is older than this project needs. PyGObject is a package of
the system, so a venv sees it only with --system-site-packages.
"""

import ctypes
import importlib
import re
import time
from typing import Any

import numpy as np

from sall_edge.errors import BackendMissing, CameraError
from sall_edge.screening.camera.exposure import ExposureClock
from sall_edge.screening.camera.frame_reader import READ_WAIT_S
from sall_edge.screening.camera.raw_frame import Layout, RawFrame
from sall_edge.screening.camera.troubles import without_password

__all__ = ["GstreamerReader", "argus_pipeline", "open_gstreamer"]

_HAS_SINK = re.compile(r"\bappsink\b")

START_S = 8
"""A pipeline that has not started by then never does; Jetson's sensors take one or two."""

_LAYOUTS = {
    "BGR": Layout.BGR,
    "RGB": Layout.RGB,
    "BGRx": Layout.BGRX,
    "BGRA": Layout.BGRX,
    "RGBx": Layout.RGBX,
    "RGBA": Layout.RGBX,
    "GRAY8": Layout.GREY,
}
"""Formats without colour subsampling: turning YUV into RGB needs the colorimetry, which videoconvert knows."""

_CHANNELS = {Layout.BGR: 3, Layout.RGB: 3, Layout.BGRX: 4, Layout.RGBX: 4, Layout.GREY: 1}

_APT = "sudo apt install python3-gi gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-good"


def argus_pipeline(sensor: int, *, size_px: tuple[int, int] = (1920, 1080), fps: int = 30) -> str:
    """The pipeline of a Jetson's CSI sensor: the image processor debayers, and turns YUV into BGRx without the CPU.

    Args:
        sensor: `sensor-id`, 0 for the first.
        size_px: Width and height; the sensor's mode is chosen by it.
        fps: Frames a second.
    """
    width, height = size_px
    return (
        f"nvarguscamerasrc sensor-id={sensor} "
        f"! video/x-raw(memory:NVMM),width={width},height={height},framerate={fps}/1 "
        "! nvvidconv ! video/x-raw,format=BGRx"
    )


class GstreamerReader:
    """Frames of a playing pipeline.

    Args:
        gst: The modules `Gst` and `GstVideo`.
        pipeline: Parsed, not started.
        sink: Its appsink.
    """

    def __init__(self, gst: tuple[Any, Any], pipeline: Any, sink: Any) -> None:
        self._gst, self._video = gst
        self._pipeline, self._sink = pipeline, sink
        self._bus = pipeline.get_bus()
        self._clock = ExposureClock(opened_s=time.monotonic(), buffers=None)

    def start(self) -> None:
        """Plays the pipeline; a source that is no camera plays at its own speed.

        Raises:
            CameraError: It does not start.
        """
        states = self._gst.State
        try:
            self._pipeline.set_state(states.PAUSED)
            result, _, _ = self._pipeline.get_state(START_S * self._gst.SECOND)
            self._sink.set_property("sync", result is not self._gst.StateChangeReturn.NO_PREROLL)
            if result is not self._gst.StateChangeReturn.FAILURE:
                result = self._pipeline.set_state(states.PLAYING)
            if result is self._gst.StateChangeReturn.FAILURE:
                raise self._trouble() or _not_started("an element of it refused")
        except CameraError:
            self.close()
            raise

    def read(self) -> RawFrame | None:
        """The newest frame; older ones were dropped.

        Raises:
            CameraError: An element failed, the stream ended, or its frames carry no time.
        """
        began_s = time.monotonic()
        sample = self._sink.emit("try-pull-sample", int(READ_WAIT_S * self._gst.SECOND))
        if sample is None:
            trouble = self._trouble()
            if trouble is not None:
                raise trouble
            return None
        buffer = sample.get_buffer()
        stamp_s, arrived_s = self._stamp_s(buffer), time.monotonic()
        exposed_s = self._clock.earliest_s(min(stamp_s, arrived_s), began_s=began_s, arrived_s=arrived_s)
        data, layout = self._pixels(sample.get_caps(), buffer)
        return RawFrame(data=data, layout=layout, exposed_s=exposed_s)

    def close(self) -> None:
        """Stops the pipeline."""
        self._pipeline.set_state(self._gst.State.NULL)

    def _stamp_s(self, buffer: Any) -> float:
        """The buffer's time on our clock: both run together, but need not have the same zero."""
        if buffer.pts == self._gst.CLOCK_TIME_NONE:
            raise CameraError(
                "the pipeline's frames carry no time",
                "without it nobody knows whether a photograph is older than its trigger",
                "add do-timestamp=true to its source",
            )
        now_ns = self._pipeline.get_clock().get_time()
        age_s = float(now_ns - self._pipeline.get_base_time() - buffer.pts) / 1e9
        return time.monotonic() - age_s

    def _pixels(self, caps: Any, buffer: Any) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], Layout]:
        data = np.frombuffer(buffer.extract_dup(0, buffer.get_size()), np.uint8)
        if caps.get_structure(0).get_name() == "image/jpeg":
            return data, Layout.JPEG
        info = self._video.VideoInfo.new_from_caps(caps)
        meta = self._video.buffer_get_video_meta(buffer)
        stride, offset = (meta.stride[0], meta.offset[0]) if meta is not None else (info.stride[0], info.offset[0])
        layout = _LAYOUTS[info.finfo.name]
        channels = _CHANNELS[layout]
        shape = (info.height, info.width) if channels == 1 else (info.height, info.width, channels)
        strides = (stride, 1) if channels == 1 else (stride, channels, 1)
        rows = np.ndarray(shape, np.uint8, buffer=data, offset=offset, strides=strides)  # rows may be padded
        return np.ascontiguousarray(rows), layout

    def _trouble(self) -> CameraError | None:
        kinds = self._gst.MessageType
        message = self._bus.pop_filtered(kinds.ERROR | kinds.EOS)
        if message is None and not self._sink.get_property("eos"):
            return None
        if message is None or message.type == kinds.EOS:
            return CameraError("the pipeline ended", "its source has nothing more", "look at the camera's cable")
        error, _ = message.parse_error()
        return _not_started(f"{message.src.get_name()}: {error.message}")


def open_gstreamer(pipeline: str) -> GstreamerReader:
    """A playing pipeline.

    Args:
        pipeline: As for gst-launch-1.0. It may end in an appsink, which is then told to drop; otherwise one is put
            there. It has to give JPEG, BGR(x), RGB(x) or GRAY8; a `videoconvert` before its end does that.

    Raises:
        CameraError: It cannot be parsed, or does not start.
        BackendMissing: PyGObject or GStreamer is not installed, or not visible in this venv.
    """
    gst, video = _modules()
    try:
        parsed = gst.parse_launch(pipeline if _HAS_SINK.search(pipeline) else f"{pipeline} ! appsink")
    except _error_type() as cause:
        fix = "try it with gst-launch-1.0; gst-inspect-1.0 NAME shows whether an element is installed"
        raise CameraError(f"cannot build the pipeline {without_password(pipeline)!r}", cause.message, fix) from cause
    sinks = _sinks(gst, parsed)
    if len(sinks) != 1:
        raise CameraError(
            f"{without_password(pipeline)!r} has {len(sinks)} appsinks", "frames come from one", "leave one"
        )
    (sink,) = sinks
    formats = ",".join(_LAYOUTS)
    sink.set_property("caps", gst.Caps.from_string(f"image/jpeg; video/x-raw,format=(string){{{formats}}}"))
    for name, value in (("drop", True), ("max-buffers", 1), ("emit-signals", False)):
        sink.set_property(name, value)
    reader = GstreamerReader((gst, video), parsed, sink)
    reader.start()
    return reader


def _sinks(gst: Any, pipeline: Any) -> list[Any]:
    """Every appsink of it; an appsink alone has no parts."""
    if not isinstance(pipeline, gst.Bin):
        return []
    found = pipeline.iterate_all_by_element_factory_name("appsink")
    sinks: list[Any] = []
    while True:
        result, sink = found.next()
        if result is not gst.IteratorResult.OK:
            return sinks
        sinks.append(sink)


def _modules() -> tuple[Any, Any]:
    # GStreamer brings libunwind into everybody's sight; libraries that are loaded later would throw C++ exceptions
    # through it and abort. Who is in sight first is taken: the compiler's own.
    ctypes.CDLL("libgcc_s.so.1", mode=ctypes.RTLD_GLOBAL)
    try:
        gi = importlib.import_module("gi")
        gi.require_version("Gst", "1.0")
        gi.require_version("GstVideo", "1.0")
        gst, video = importlib.import_module("gi.repository.Gst"), importlib.import_module("gi.repository.GstVideo")
    except (ImportError, ValueError) as cause:  # ValueError: PyGObject is there, the typelib is not
        venv = "the venv has to be made with --system-site-packages and the system's Python"
        raise BackendMissing("GStreamer cannot be used from Python", str(cause), f"{_APT}; {venv}") from cause
    if not gst.is_initialized():
        gst.init(None)
    return gst, video


def _error_type() -> Any:
    return importlib.import_module("gi.repository.GLib").Error


def _not_started(why: str) -> CameraError:
    fix = "try it with gst-launch-1.0; a videoconvert before its end gives a format that fits"
    return CameraError("the pipeline does not run", why, fix)
