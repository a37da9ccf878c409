"""The peer of `pipeline.py`, in a process of its own: the retina crop of retinalysis-fundusprep, then ONNX Runtime.

`pipeline.py` starts it. It has to be apart: fundusprep wants OpenCV 4 (OpenCV 5 lacks a function that it calls; it then
takes the whole frame and says nothing), this project wants OpenCV 5. It is AGPL, so nothing here depends on it.

Two ways, since its documentation has a command only, which decodes with Pillow, crops to 1024 px and writes a PNG:

- fastest: OpenCV decodes, and the class behind that command crops straight to the side that the network eats.
- command: what the command does, without its PNG, and INTER_AREA from 1024 px to the side.

Neither enhances the contrast, which is an option. The graph is the bundle's FP32.

Speaks JSON, a line each: a photograph's path and a way come in, milliseconds and the circle that was found go out.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

DISC_PX = 400
"""Radius of a disc that a working crop finds."""


COMMAND_PX = 1024
"""What its command crops to."""

Way = Callable[[str], tuple[float, dict[str, Any], np.ndarray]]
"""From a path to the moment at which it was decoded, what the peer found, and the square."""


def fastest(side: int) -> Way:
    """OpenCV, and the crop to the side."""
    import cv2
    from rtnls_fundusprep import FundusPreprocessor

    preprocessor = FundusPreprocessor(square_size=side)

    def cut(path: str) -> tuple[float, dict[str, Any], np.ndarray]:
        photograph = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
        decoded = time.perf_counter()
        found = preprocessor(photograph)
        return decoded, found, found["image"]

    return cut


def as_its_command(side: int) -> Way:
    """The peer's own reading, its crop to 1024 px, and the way from there to the side."""
    import cv2
    from rtnls_fundusprep import FundusPreprocessor
    from rtnls_fundusprep.utils import open_image

    preprocessor = FundusPreprocessor(square_size=COMMAND_PX)

    def cut(path: str) -> tuple[float, dict[str, Any], np.ndarray]:
        photograph = open_image(path)
        decoded = time.perf_counter()
        found = preprocessor(photograph)
        return decoded, found, cv2.resize(found["image"], (side, side), interpolation=cv2.INTER_AREA)

    return cut


def ways(side: int) -> dict[str, Way]:
    """Both, after the peer was seen to find a disc.

    Raises:
        ImportError: It is not installed, or finds something else than the disc.
    """
    import cv2
    from rtnls_fundusprep import FundusPreprocessor

    frame = cv2.circle(np.zeros((1000, 1200, 3), np.uint8), (600, 500), DISC_PX, (170, 90, 40), -1)
    found = FundusPreprocessor(square_size=side)(frame)["metadata"]["bounds"]["radius"]
    if abs(found - DISC_PX) > DISC_PX / 20:
        said = f"it finds a radius of {found:.0f} px for a disc of {DISC_PX} px"
        raise ImportError(f"{said}, with OpenCV {cv2.__version__}")
    return {"fastest": fastest(side), "command": as_its_command(side)}


def main() -> None:
    """Says who it is, then answers until the input ends."""
    graph, side = sys.argv[1], int(sys.argv[2])
    answers = sys.stdout
    sys.stdout = sys.stderr  # whatever the peer prints is no answer

    def answer(content: dict[str, Any]) -> None:
        print(json.dumps(content), file=answers, flush=True)

    try:
        known = ways(side)
    except ImportError as problem:
        answer({"missing": str(problem)})
        return
    from importlib.metadata import version

    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.force_spinning_stop", "1")  # or its threads disturb the next arm
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    answer(
        {name: version(name) for name in ("retinalysis-fundusprep", "opencv-python-headless", "onnxruntime", "numpy")}
    )
    for line in sys.stdin:
        path, way = json.loads(line)
        start = time.perf_counter()
        decoded, found, square = known[way](path)
        cropped = time.perf_counter()
        session.run(None, {"image": square[None]})  # scaling and normalisation are in the graph
        end = time.perf_counter()
        parts = {"decode": decoded - start, "crop": cropped - decoded, "infer": end - cropped}
        answer(
            {
                "ms": (end - start) * 1e3,
                "parts_ms": {name: seconds * 1e3 for name, seconds in parts.items()},
                "radius_px": float(found["metadata"]["bounds"]["radius"]),
            }
        )


if __name__ == "__main__":
    main()
