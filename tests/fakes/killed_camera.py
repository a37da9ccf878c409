"""`sall-edge camera` in fresh processes that are started quickly, to be killed: `killed_camera.py ARGUMENT…`.

What takes long the first time is done once; each line on stdin starts a process (a fork) that runs the command line
with these arguments and those of the line. A hot folder's own pauses are a tenth of what they are: here each file is
written at one go. Its events come out as they are, between `process PID` and `died CODE`. SIGKILL stops a process, not
the machine: what the disk's own cache loses in a power cut, this cannot show.
"""

import os
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from fakes.stored_examination import put_examination

from sall_edge.cli import main as sall_edge
from sall_edge.screening.camera import arrivals
from sall_edge.screening.store.opening import create_store, open_store

NEEDED = (
    "cli.camera",
    "cli.camera_view",
    "cli.service_manager",
    "cli.stopping",
    "cli.wishes",
    "fundus.golden",
    "runtime.openvino",
    "runtime.serving",
    "screening.camera.dicom_scp",
    "screening.camera.hot_folder",
    "screening.camera.open",
    "screening.report.write",
    "screening.station.station",
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
    with TemporaryDirectory() as other, open_store(create_store(Path(other) / "store")) as store:
        put_examination(store)  # SQLAlchemy learns what the tables are
    arrivals.SETTLE_S /= 10
    arrivals.RESCAN_MS //= 10
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.write(1, f"process {os.getpid()}\n".encode())
            _examine([*sys.argv[1:], *line.split()])
        _, status = os.waitpid(child, 0)
        os.write(1, f"died {os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    main()
