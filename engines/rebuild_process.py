"""A rebuild beside the screening, in a process of its own: what a compiler does to memory stays with the compiler.

with BackgroundRebuild(engine.path) as rebuild:
    while (status := rebuild.poll()).state is State.RUNNING:
        ...  # screen on, on the CPU; then open the session again
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType

__all__ = ["BackgroundRebuild", "RebuildStatus", "State"]

LOWEST_PRIORITY = 19
FIRST_TO_KILL = "1000"
"""For the kernel when memory runs out, see proc_pid_oom_score_adj(5): the compiler, and never the screening."""
SECONDS_TO_STOP = 10.0
"""A rebuild that is terminated removes what it has written; one that does not listen is killed."""


class State(str, Enum):
    """Where a rebuild is."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildStatus:
    """What `poll` tells.

    Attributes:
        state: FINISHED when the new engine stands in its place.
        stage: "compiling", "verifying", or empty at the very start.
        done, total: Steps of the stage.
        exit_code: 0 finished, 3 the probes said no, 1 another reason, negative a signal; None while it runs.
        reason: Why it failed: what, why and fix in lines.
    """

    state: State
    stage: str = ""
    done: int = 0
    total: int = 0
    exit_code: int | None = None
    reason: str = ""


class BackgroundRebuild:
    """A running `sall-edge rebuild`; left by `with` or `stop`, it does not outlive its owner.

    Args:
        engine: Bundle folder. It is rebuilt whatever version wrote it: who starts this has seen it fail.
        command: Instead of `sall-edge rebuild`, which is told `--force --json` and the folder.
    """

    def __init__(
        self, engine: Path, *, command: Sequence[str] = (sys.executable, "-m", "sall_edge", "rebuild")
    ) -> None:
        self._told = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop; a pipe would block a child nobody polls
        self._process = subprocess.Popen(
            [*command, "--force", "--json", str(engine)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._told,
        )
        with contextlib.suppress(OSError):  # it has ended, or this kernel keeps no such file
            os.setpriority(os.PRIO_PROCESS, self._process.pid, LOWEST_PRIORITY)
            Path(f"/proc/{self._process.pid}/oom_score_adj").write_text(FIRST_TO_KILL, encoding="ascii")

    def poll(self) -> RebuildStatus:
        """Where it is; returns at once."""
        code = self._process.poll()
        stage, done, total, text = self._read()
        if code is None:
            return RebuildStatus(state=State.RUNNING, stage=stage, done=done, total=total)
        state = State.FAILED if code else State.FINISHED
        reason = _reason(code, text) if code else ""
        return RebuildStatus(state=state, stage=stage, done=done, total=total, exit_code=code, reason=reason)

    def stop(self) -> None:
        """Ends it by SIGTERM if it runs, which leaves the old engine; a second call does nothing."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._told.close()

    def __enter__(self) -> "BackgroundRebuild":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _read(self) -> tuple[str, int, int, str]:
        """Stage, steps done and in total, and what was said besides progress."""
        size = os.fstat(self._told.fileno()).st_size
        lines = os.pread(self._told.fileno(), size, 0).decode(errors="replace").splitlines()
        stage, done, total, said = "", 0, 0, []
        for line in lines:
            match _progress(line):
                case {"stage": str(stage), "total": int(total)}:
                    done = 0
                case {"steps": int(steps)}:
                    done += steps
                case _:
                    said.append(line)
        return stage, done, total, "\n".join(said)


def _progress(line: str) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _reason(code: int, text: str) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        memory = "; the kernel kills so when memory runs out" if -code == signal.SIGKILL else ""
        return f"the rebuild was ended by {name}{memory}, the old engine stays"
    _, _, said = f"\n{text}".partition("\nerror: ")  # libraries may have written lines of their own before
    return said or text or f"the rebuild ended with exit code {code} and gave no reason"
