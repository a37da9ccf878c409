"""`sall-edge camera` in fresh processes that are started quickly, to be killed: `killed_camera.py ARGUMENT…`.

What takes long to import is imported once; each line on stdin starts a process (a fork) that runs the command line with
these arguments and those of the line. Its events come out as they are, between `process PID` and `died CODE`. SIGKILL
stops a process, not the machine: what the disk's own cache loses in a power cut, this cannot show.
"""

import os
import sys
from importlib import import_module

from sall_edge.cli import main as sall_edge

NEEDED = (
    "cli.camera",
    "runtime.openvino",
    "screening.camera.dicom_scp",
    "screening.camera.hot_folder",
    "screening.report.write",
    "screening.station.station",
    "screening.store.opening",
)


def _examine(arguments: list[str]) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # the lines that start processes are nobody's wishes
    sys.argv = ["sall-edge", *arguments]
    sall_edge()


def main() -> None:
    """One process after another."""
    for name in NEEDED:
        import_module(f"sall_edge.{name}")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.write(1, f"process {os.getpid()}\n".encode())
            _examine([*sys.argv[1:], *line.split()])
        _, status = os.waitpid(child, 0)
        os.write(1, f"died {os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    main()
