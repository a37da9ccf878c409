"""A source string -> an open camera. This is the whole list of what a camera can be."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl

from sall_edge.errors import CameraError
from sall_edge.screening.camera.frame_reader import OpensReader
from sall_edge.screening.camera.health import HealthLimits
from sall_edge.screening.camera.live import LiveCamera, Patience
from sall_edge.screening.camera.playback import Playback
from sall_edge.screening.camera.source import Camera
from sall_edge.screening.camera.troubles import without_password

__all__ = ["SOURCES", "open_camera"]

SOURCES = {
    "/dev/video0": "a V4L2 camera; v4l2:/dev/v4l/by-id/NAME?size=1920x1080&fps=30 says more",
    "argus:0": "a Jetson's CSI sensor; argus:0?size=3840x2160&fps=30",
    "gst:PIPELINE": "a GStreamer pipeline that gives JPEG, RGB, BGR(x) or GRAY8",
    "rtsp://HOST/PATH": "a network camera",
    "FILE.mp4": "a video at its own speed; FILE.mp4?play=once is lost at its end",
    "frames:FOLDER": "a recording: pictures and frames.csv; a folder with frames.csv needs no frames:",
    "folder:FOLDER": "a hot folder: what a fundus camera drops",
    "dicom:PORT/AETITLE": "a DICOM Storage SCP: what a fundus camera sends",
}
"""Every form of a source, with what it is."""

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mjpeg"})

_DEFAULT_SIZE_PX, _DEFAULT_FPS = (1920, 1080), 30


ChoiceT = TypeVar("ChoiceT", bound=Enum)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What was asked for beside the source."""

    name: str | None
    limits: HealthLimits
    patience: Patience
    delay_s: float | None
    inbox: Path | None


def open_camera(
    source: str,
    *,
    name: str | None = None,
    limits: HealthLimits | None = None,
    patience: Patience | None = None,
    delay_s: float | None = None,
    inbox: Path | None = None,
) -> Camera:
    """An open camera.

    Args:
        source: One of `SOURCES`.
        name: For records, messages and the camera's quality limits; the source itself if None.
        limits: When a live camera is frozen, black or of a wrong size; a `size=` in the source goes before its size.
        patience: How long a live camera's driver may take.
        delay_s: Of a network camera: longest time from light to arrival; see docs/cameras.md.
        inbox: Of a DICOM camera: the folder that holds what arrived and is not stored yet.

    Raises:
        CameraError: No such source, an option that it does not have, or it cannot be opened now.
        BackendMissing: What reads it is not installed.
    """
    wanted = _Wanted(
        name=name, limits=limits or HealthLimits(), patience=patience or Patience(), delay_s=delay_s, inbox=inbox
    )
    kind, rest = _split(source)
    match kind:
        case "v4l2":
            return _v4l2(source, rest, wanted)
        case "argus":
            return _argus(source, rest, wanted)
        case "gst":
            return _gstreamer(rest, wanted, label="gstreamer", source=without_password(source))
        case "rtsp":
            return _rtsp(source, wanted)
        case "video":
            return _video(source, rest, wanted)
        case "frames":
            return _recorded(source, rest, wanted)
        case "folder":
            from sall_edge.screening.camera.hot_folder import open_hot_folder

            return open_hot_folder(Path(rest), name=name)
        case "dicom":
            return _dicom(source, rest, wanted)
        case _:
            raise _unknown(source)


def _split(source: str) -> tuple[str, str]:
    """The kind of a source, and what stands after it; "" for none that is known."""
    if source.startswith(("rtsp://", "rtsps://")):
        return "rtsp", source
    kind, colon, rest = source.partition(":")
    if colon and kind in ("v4l2", "argus", "gst", "frames", "folder", "dicom") and rest:
        return kind, rest
    path = source.partition("?")[0]
    if path.startswith("/dev/"):
        return "v4l2", source
    if Path(path).suffix.lower() in VIDEO_SUFFIXES:
        return "video", source
    if (Path(path) / "frames.csv").is_file():
        return "frames", source
    return "", source


def _v4l2(source: str, rest: str, wanted: _Wanted) -> Camera:
    from sall_edge.screening.camera.v4l2 import Stamps, open_v4l2

    path, options = _options(source, rest, allowed=("size", "fps", "stamps"))
    size_px = _size_px(source, options) or wanted.limits.size_px
    stamps = _one_of(Stamps, source, options, key="stamps", default=Stamps.USED)
    opens = partial(open_v4l2, path, size_px=size_px, fps=_fps(source, options), stamps=stamps)
    return _live(opens, _sized(wanted, size_px), label=path, source=source)


def _argus(source: str, rest: str, wanted: _Wanted) -> Camera:
    from sall_edge.screening.camera.gstreamer import argus_pipeline

    sensor, options = _options(source, rest, allowed=("size", "fps"))
    if not re.fullmatch(r"[0-9]{1,2}", sensor):
        raise CameraError(f"{sensor!r} is no sensor", "sensors are numbered from 0", "argus:0")
    size_px = _size_px(source, options) or wanted.limits.size_px or _DEFAULT_SIZE_PX
    pipeline = argus_pipeline(int(sensor), size_px=size_px, fps=int(_fps(source, options) or _DEFAULT_FPS))
    return _gstreamer(pipeline, _sized(wanted, size_px), label=f"argus:{sensor}", source=source)


def _gstreamer(pipeline: str, wanted: _Wanted, *, label: str, source: str) -> Camera:
    from sall_edge.screening.camera.gstreamer import open_gstreamer

    return _live(partial(open_gstreamer, pipeline), wanted, label=label, source=source)


def _rtsp(source: str, wanted: _Wanted) -> Camera:
    from sall_edge.screening.camera.video import NETWORK_DELAY_S, open_rtsp

    delay_s = NETWORK_DELAY_S if wanted.delay_s is None else wanted.delay_s
    public = without_password(source)
    return _live(partial(open_rtsp, source, delay_s=delay_s), wanted, label=public, source=public)


def _video(source: str, rest: str, wanted: _Wanted) -> Camera:
    from sall_edge.screening.camera.video import open_video

    path, options = _options(source, rest, allowed=("play",))
    opens = partial(
        open_video, Path(path), playback=_one_of(Playback, source, options, key="play", default=Playback.ENDLESS)
    )
    return _live(opens, wanted, label=Path(path).name, source=source)


def _recorded(source: str, rest: str, wanted: _Wanted) -> Camera:
    from sall_edge.screening.camera.recorded import open_recorded

    path, options = _options(source, rest, allowed=("play",))
    opens = partial(
        open_recorded, Path(path), playback=_one_of(Playback, source, options, key="play", default=Playback.ENDLESS)
    )
    return _live(opens, wanted, label=Path(path).name, source=source)


def _dicom(source: str, rest: str, wanted: _Wanted) -> Camera:
    port, _, title = rest.partition("/")
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise CameraError(f"{source!r} has no port", "a camera sends to a port of this device", "dicom:11112/SALLEDGE")
    if wanted.inbox is None:
        raise CameraError(
            f"{source} has no folder", "what arrives is kept until it is stored", "name one: inbox=FOLDER"
        )
    from sall_edge.screening.camera.dicom_scp import AE_TITLE, open_dicom_scp

    return open_dicom_scp(wanted.inbox, port=int(port), ae_title=title or AE_TITLE, name=wanted.name)


def _live(opens: OpensReader, wanted: _Wanted, *, label: str, source: str) -> LiveCamera:
    return LiveCamera(
        opens,
        name=wanted.name or label,
        limits=wanted.limits,
        patience=wanted.patience,
        details={"source": source},
    )


def _sized(wanted: _Wanted, size_px: tuple[int, int] | None) -> _Wanted:
    return replace(wanted, limits=replace(wanted.limits, size_px=size_px))


def _options(source: str, rest: str, *, allowed: tuple[str, ...]) -> tuple[str, Mapping[str, str]]:
    """What stands before the question mark, and the options after it."""
    main, _, text = rest.partition("?")
    options = dict(parse_qsl(text, keep_blank_values=True))
    unknown = [key for key in options if key not in allowed]
    if unknown:
        known = ", ".join(f"{key}=" for key in allowed)
        raise CameraError(f"{source!r} has no option {unknown[0]}", f"its options are {known}", "leave it out")
    return main, options


def _size_px(source: str, options: Mapping[str, str]) -> tuple[int, int] | None:
    if "size" not in options:
        return None
    found = re.fullmatch(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})", options["size"])
    if found is None:
        why = f"size={options['size']} is not width x height in pixels"
        raise CameraError(f"{source!r} has no size", why, "size=1920x1080")
    return int(found[1]), int(found[2])


def _fps(source: str, options: Mapping[str, str]) -> float | None:
    if "fps" not in options:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,2}", options["fps"]):
        raise CameraError(f"{source!r} has no frame rate", f"fps={options['fps']} is not 1 to 999", "fps=30")
    return float(options["fps"])


def _one_of(choices: type[ChoiceT], source: str, options: Mapping[str, str], *, key: str, default: ChoiceT) -> ChoiceT:
    """The option as one of its values."""
    text = options.get(key, default.value)
    try:
        return choices(text)
    except ValueError as cause:
        legal = " or ".join(f"{key}={choice.value}" for choice in choices)
        raise CameraError(f"{source!r} has a wrong option", f"{key}={text} is not known", legal) from cause


def _unknown(source: str) -> CameraError:
    forms = "; ".join(f"{form} ({what})" for form, what in SOURCES.items())
    return CameraError(f"{source!r} is no camera", "it is none of the forms of a source", forms)
