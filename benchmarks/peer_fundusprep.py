"""The peer of `pipeline.py`, in a process of its own: the retina crop of retinalysis-fundusprep, then ONNX Runtime.

`pipeline.py` starts it. It has to be apart: fundusprep wants OpenCV 4 (OpenCV 5 lacks a function that it calls; it then
takes the whole frame and says nothing), this project wants OpenCV 5. It is AGPL, so nothing here depends on it.

Its documentation has a command, which decodes, crops to 1024 px and writes a PNG. The class behind that command crops
to any side, and crops without enhancing the contrast unless it is told to: that is its fastest way, and the one timed.
The photograph is decoded by OpenCV 4, which is faster than the command's own Pillow. The graph is the bundle's FP32.

Speaks JSON, a line each: a photograph's path comes in, milliseconds and the circle that was found go out.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

DISC_PX = 400
"""Radius of a disc that a working crop finds."""


def crop(side: int) -> Callable[[np.ndarray], dict[str, Any]]:
    """The peer's cropping, checked on a disc.

    Raises:
        ImportError: It is not installed, or finds something else than the disc.
    """
    import cv2
    from rtnls_fundusprep import FundusPreprocessor

    preprocessor = FundusPreprocessor(square_size=side)
    frame = cv2.circle(np.zeros((1000, 1200, 3), np.uint8), (600, 500), DISC_PX, (170, 90, 40), -1)
    found = preprocessor(frame)["metadata"]["bounds"]["radius"]
    if abs(found - DISC_PX) > DISC_PX / 20:
        raise ImportError(
            f"it finds a radius of {found:.0f} px for a disc of {DISC_PX} px, with OpenCV {cv2.__version__}"
        )
    return preprocessor


def main() -> None:
    """Says who it is, then answers until the input ends."""
    graph, side = sys.argv[1], int(sys.argv[2])
    answers = sys.stdout
    sys.stdout = sys.stderr  # whatever the peer prints is no answer

    def answer(content: dict[str, Any]) -> None:
        print(json.dumps(content), file=answers, flush=True)

    try:
        preprocessor = crop(side)
    except ImportError as problem:
        answer({"missing": str(problem)})
        return
    from importlib.metadata import version

    import cv2
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.force_spinning_stop", "1")  # or its threads disturb the next arm
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    answer(
        {name: version(name) for name in ("retinalysis-fundusprep", "opencv-python-headless", "onnxruntime", "numpy")}
    )
    for line in sys.stdin:
        start = time.perf_counter()
        photograph = cv2.cvtColor(cv2.imread(json.loads(line)), cv2.COLOR_BGR2RGB)
        decoded = time.perf_counter()
        found = preprocessor(photograph)
        cropped = time.perf_counter()
        session.run(None, {"image": found["image"][None]})  # scaling and normalisation are in the graph
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
