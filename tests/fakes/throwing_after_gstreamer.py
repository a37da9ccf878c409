"""A process that reads a frame from a pipeline, and then loads a library that throws: `throwing_after_gstreamer.py GI`.

GI is a folder to import `gi` from. OpenVINO throws a C++ exception, and its binding makes a Python one of it, which is
what is printed; a process in which the exception cannot travel is aborted instead.
"""

import importlib
import sys

from sall_edge.screening.camera.gstreamer import open_gstreamer

PIPELINE = "videotestsrc is-live=true pattern=snow ! video/x-raw,width=322,height=256,framerate=30/1,format=GRAY8"


def main() -> None:
    """One frame, one exception."""
    sys.path.append(sys.argv[1])
    reader = open_gstreamer(PIPELINE)
    try:
        while reader.read() is None:
            pass
    finally:
        reader.close()
    openvino = importlib.import_module("openvino")  # before GStreamer it would meet nobody else's unwinder
    try:
        openvino.Core().read_model(b"no model")
    except RuntimeError as problem:
        sys.stdout.write(type(problem).__name__)


if __name__ == "__main__":
    main()
