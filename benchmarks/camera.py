"""From trigger to stored verdict, and guidance beside inference. Everything on the cores that it is given, in one run.

    taskset -c 0,1 python benchmarks/camera.py ENGINE PHOTO... [--rounds 60] [--seconds 20] [--folder DIR] [--json FILE]

Trigger to stored verdict, into an encrypted store in DIR, for photographs with a retina that can be graded:

- live, live_raw: a camera of 1080 lines shows the photograph at 30 frames a second, as JPEG (UVC) or uncompressed
              (CSI), each frame another one; an operator releases the shutter. The wait for the first frame exposed
              after the trigger is in it: 33 ms to 67 ms that no program can save.
- delivered:  the photograph as it is, as a camera hands it over. The hot folder's own wait (0.2 s that a file has to
              stay unchanged) comes before and is not in it.

`screen_ms` is what `sall-edge screen` takes for the same bytes, measured in the same round; `overhead_ms` is the
difference, `overhead_without_frame_ms` that without the wait. `parts_ms`, medians: `frame` waiting and packing, `judge`
reading, preparing and inferring, `store` what `Store.add_received` takes once that is done (the file is written beside
it), `rest` hashing, rules, events. Target: overhead at most 100 ms.

Guidance: looks at live frames of 1080 lines, as JPEG and uncompressed, as fast as it can, alone and while a thread
runs the engine without pause; target 15 a second. `idle_core` is the share of one core that an open camera takes
while nobody looks.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from turns import percentiles, write_result

from sall_edge.artifacts import open_engine
from sall_edge.runtime.session import Session, open_session
from sall_edge.screening.camera.guidance import Guide
from sall_edge.screening.camera.live import LiveCamera
from sall_edge.screening.camera.raw_frame import Layout, RawFrame
from sall_edge.screening.camera.source import Capture, Moment, Origin
from sall_edge.screening.events import PhotographJudged, PhotographWanted
from sall_edge.screening.examination.programme import load_programme
from sall_edge.screening.examination.record import Examination, ExaminedPhotograph, Person
from sall_edge.screening.station.controls import Command, Controls, Shutter
from sall_edge.screening.station.station import Station
from sall_edge.screening.store.key import Key
from sall_edge.screening.store.opening import create_store, open_store
from sall_edge.screening.store.receiving import Received
from sall_edge.screening.store.store import Store
from sall_edge.screening.verdict import judge, look_at

WIDTH_PX, HEIGHT_PX, FRAMES_PER_S = 1920, 1080, 30
DISTINCT = 8
TARGET_MS, TARGET_FRAMES_PER_S = 100.0, 15.0


class Reader:
    """Gives prepared frames at the pace of a camera; each differs from the one before in a row of noise."""

    def __init__(self, pixels: np.ndarray, layout: Layout) -> None:
        rng = np.random.default_rng(0)
        self._frames = []
        for _ in range(DISTINCT):
            frame = pixels[..., ::-1].copy()
            frame[:8] = rng.integers(0, 8, frame[:8].shape)
            jpeg = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
            self._frames.append(jpeg if layout is Layout.JPEG else frame)
        self._layout, self._count, self._start_s = layout, 0, time.monotonic()

    def read(self) -> RawFrame | None:
        """The frame whose time has come; frames that nobody had time for are left out, as by a camera."""
        due = max(self._count, int((time.monotonic() - self._start_s) * FRAMES_PER_S))
        time.sleep(max(self._start_s + due / FRAMES_PER_S - time.monotonic(), 0))
        self._count = due + 1
        frame = self._frames[due % DISTINCT]
        if isinstance(frame, bytes):
            data = np.frombuffer(in_other_bytes(frame, due), np.uint8)
        else:
            data = frame.copy()  # what a driver hands over is nobody else's
            data[0, :4] = np.frombuffer(due.to_bytes(12, "little"), np.uint8).reshape(4, 3)
        return RawFrame(data=data, layout=self._layout, exposed_s=time.monotonic() - 1 / FRAMES_PER_S)

    def close(self) -> None:
        """Nothing is held."""


class Delivering:
    """A camera that hands over the same photograph in other bytes, at once."""

    name, is_live = "delivering", False

    def __init__(self, jpeg: bytes) -> None:
        self._jpeg, self._count = jpeg, 0

    def __getattr__(self, name: str) -> Any:
        """The rest of the protocol, of which nothing is timed."""
        return {"state": "ready", "set_aside": tuple, "stored": lambda capture: None}[name]

    def capture(self, since: Moment, *, timeout_s: float) -> Capture:
        """The next one."""
        self._count += 1
        data = in_other_bytes(self._jpeg, self._count)
        return Capture(data=data, suffix=".jpg", triggered=Moment.now(), origin=Origin(camera=self.name))


class TimedStore:
    """What `Store.add_received` takes, and what the store was given."""

    def __init__(self, store: Store) -> None:
        self._receiving, self._add = store.receiving, store.add_received
        store.receiving, store.add_received = self.receiving, self.add  # type: ignore[method-assign]
        self.ms = 0.0
        self.data = b""
        self.photograph: ExaminedPhotograph | None = None

    def receiving(self, data: bytes, *, sha256: str) -> AbstractContextManager[Received]:
        """Receives."""
        self.data = data
        return self._receiving(data, sha256=sha256)

    def add(self, examination: Examination, photograph: ExaminedPhotograph, received: Received) -> None:
        """Adds."""
        start = time.perf_counter()
        self._add(examination, photograph, received)
        self.ms, self.photograph = (time.perf_counter() - start) * 1e3, photograph


def in_other_bytes(jpeg: bytes, number: int) -> bytes:
    """The photograph with its number as a comment."""
    comment = f"{number:08d}".encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]


def placed(pixels: np.ndarray) -> np.ndarray:
    """(1080, 1920, 3): the photograph in the middle of a frame."""
    scale = HEIGHT_PX / max(pixels.shape[:2])
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    frame = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    top, left = (HEIGHT_PX - small.shape[0]) // 2, (WIDTH_PX - small.shape[1]) // 2
    frame[top : top + small.shape[0], left : left + small.shape[1]] = small
    return frame


def stored_verdicts(camera: Any, session: Session, store: Store, *, rounds: int) -> dict[str, Any]:
    """Trigger to stored verdict against `screen` of the same bytes, round by round."""
    timed, controls = TimedStore(store), Controls()
    parts: dict[str, list[float]] = {name: [] for name in ("stored", "screen", "frame", "judge", "store", "rest")}
    graded = 0
    while len(parts["stored"]) < rounds:
        station = Station(
            camera=camera,
            session=session,
            store=store,
            programme=load_programme("icdr"),
            controls=controls,
            shutter=Shutter.OPERATOR,
        )
        for event in station.examine(Person(reference="benchmark")):
            if isinstance(event, PhotographWanted) and camera.is_live:
                controls.wish(Command.RELEASE)
            if not isinstance(event, PhotographJudged) or timed.photograph is None:
                continue
            start = time.perf_counter()
            judge(session, look_at(timed.data, session.manifest.image, name="the same"))
            screen_ms = (time.perf_counter() - start) * 1e3
            judge_ms = timed.photograph.screened.ms.get("total", 0.0)
            frame_ms = camera.ms if camera.is_live else 0.0
            total_ms = event.trigger_to_stored_ms
            rest_ms = total_ms - frame_ms - judge_ms - timed.ms
            values = (total_ms, screen_ms, frame_ms, judge_ms, timed.ms, rest_ms)
            for name, value in zip(parts, values, strict=True):
                parts[name].append(value)
            graded += event.gradable
    overhead = [total - alone for total, alone in zip(parts["stored"], parts["screen"], strict=True)]
    return {
        "rounds": len(overhead),
        "graded": graded,
        "size_kb": round(len(timed.data) / 1e3),
        "stored_ms": percentiles(parts["stored"]),
        "screen_ms": percentiles(parts["screen"]),
        "overhead_ms": percentiles(overhead),
        "overhead_without_frame_ms": percentiles([a - b for a, b in zip(overhead, parts["frame"], strict=True)]),
        "parts_ms": {name: round(statistics.median(parts[name]), 1) for name in ("frame", "judge", "store", "rest")},
    }


class TimedCamera(LiveCamera):
    """Notes in `ms` what a capture takes."""

    ms = 0.0

    def capture(self, since: Moment, *, timeout_s: float) -> Capture | None:
        """As the camera's."""
        start = time.perf_counter()
        captured = super().capture(since, timeout_s=timeout_s)
        self.ms = (time.perf_counter() - start) * 1e3
        return captured


def live(pixels: np.ndarray, layout: Layout) -> TimedCamera:
    """A camera that shows this."""
    return TimedCamera(lambda: Reader(placed(pixels), layout), name=f"live {layout.value}")


def looks_per_s(camera: LiveCamera, seconds: float) -> float:
    """Guidance on one newest frame after the other."""
    guide, number, looked, start = Guide(), -1, 0, time.monotonic()
    while time.monotonic() - start < seconds:
        frame = camera.frame(newer_than=number, timeout_s=1)
        if frame is not None:
            number, looked = frame.number, looked + 1
            guide.look(frame)
    return round(looked / (time.monotonic() - start), 1)


def inferences(session: Session, square: np.ndarray, is_over: threading.Event) -> int:
    """How many there were, without pause."""
    return sum(1 for _ in iter(is_over.is_set, True) if session.run(square))


def guidance(pixels: np.ndarray, session: Session, square: np.ndarray, *, seconds: float) -> dict[str, Any]:
    """Looks a second, by what the camera gives."""
    result: dict[str, Any] = {"target_per_s": TARGET_FRAMES_PER_S}
    for layout in (Layout.JPEG, Layout.BGR):
        with live(pixels, layout) as camera:
            start, cpu = time.monotonic(), time.process_time()
            time.sleep(seconds / 2)
            idle_core = (time.process_time() - cpu) / (time.monotonic() - start)
            alone = looks_per_s(camera, seconds / 2)
            with ThreadPoolExecutor(1) as pool:
                is_over = threading.Event()
                inferred = pool.submit(inferences, session, square, is_over)
                beside = looks_per_s(camera, seconds)
                is_over.set()
            result[layout.value] = {
                "alone_per_s": alone,
                "beside_inference_per_s": beside,
                "inferences_per_s": round(inferred.result() / seconds, 1),
                "idle_core": round(idle_core, 3),
            }
    return result


def measured(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Everything."""
    jpegs = [path.read_bytes() for path in options.photographs]
    key = Key(secret=os.urandom(32))
    result: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "target_ms": TARGET_MS}
    make: dict[str, Callable[[bytes, np.ndarray], Any]] = {
        "live": lambda jpeg, pixels: live(pixels, Layout.JPEG),
        "live_raw": lambda jpeg, pixels: live(pixels, Layout.BGR),
        "delivered": lambda jpeg, pixels: Delivering(jpeg),
    }
    with open_session(open_engine(options.engine)) as session:
        for name, made in make.items():
            result[name] = []
            for number, jpeg in enumerate(jpegs):
                pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
                store_folder = create_store(folder / f"{name}{number}", key)
                camera = made(jpeg, pixels)
                with open_store(store_folder, key) as store:
                    found = stored_verdicts(camera, session, store, rounds=options.rounds)
                if camera.is_live:
                    camera.close()
                result[name].append({"megapixels": round(pixels.shape[0] * pixels.shape[1] / 1e6, 1), **found})
        looked = look_at(jpegs[0], session.manifest.image, name="first")
        assert looked.prepared is not None
        result["guidance"] = guidance(pixels, session, looked.prepared.square, seconds=options.seconds)
    return result


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", type=Path)
    parser.add_argument("photographs", type=Path, nargs="+", metavar="PHOTO", help="JPEGs of 8 to 10 megapixels")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--folder", type=Path, help="on the disk that is asked about")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="camera-speed.", dir=options.folder) as folder:
        result = measured(options, Path(folder))
    for name in ("live", "live_raw", "delivered"):
        for one in result[name]:
            print(f"{name} {one['megapixels']} MP, {one['size_kb']} kB, {one['graded']} of {one['rounds']} graded, ms:")
            for part in ("overhead_ms", "overhead_without_frame_ms", "stored_ms", "screen_ms", "parts_ms"):
                print(f"    {part.removesuffix('_ms'):24s} {one[part]}")
    for layout in ("jpeg", "bgr"):
        print(f"guidance   {layout}: {result['guidance'][layout]}")
    print(f"targets: {TARGET_MS} ms, {TARGET_FRAMES_PER_S} looks a second")
    write_result(options.json, result)


if __name__ == "__main__":
    main()
