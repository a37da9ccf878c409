"""TensorRT's progress as one bar, and a build that can be interrupted.

TensorRT reports phases within phases, from any of its threads. The bar shows how far the outermost one is, with the
steps of inner ones as parts of a step. Ctrl-C reaches Python's main thread only, so the build runs on another: the
main thread waits, asks TensorRT to stop, and passes the interruption on when TensorRT has.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

__all__ = ["PARTS", "Progress", "Quiet", "Watch", "interruptible", "monitor"]

PARTS = 1000
"""Length of the bar."""

T = TypeVar("T")


class Progress(Protocol):
    """What shows progress: a bar on a terminal, or nothing."""

    def stage(self, name: str, total: int) -> None:
        """A new stage of so many steps."""

    def advance(self, n: int = 1) -> None:
        """Steps of the newest stage that are done."""


class Quiet:
    """Shows nothing."""

    def stage(self, name: str, total: int) -> None:
        """Nothing."""

    def advance(self, n: int = 1) -> None:
        """Nothing."""


@dataclass(slots=True)
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class Watch:
    """How far a build is, and whether it shall stop; called from any thread.

    Attributes:
        is_cancelled: Set it, and the build ends at its next step.
    """

    def __init__(self, progress: Progress) -> None:
        self.is_cancelled = threading.Event()
        self._progress = progress
        self._lock = threading.Lock()
        self._phases: dict[str, _Phase] = {}
        self._shown = 0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins, inside another one or by itself."""
        with self._lock:
            self._phases[name] = _Phase(parent, max(steps, 1))

    def step(self, name: str) -> bool:
        """A step of a phase is done; False asks TensorRT to stop."""
        with self._lock:
            if phase := self._phases.get(name):
                phase.done = min(phase.done + 1, phase.steps)
            self._show()
        return not self.is_cancelled.is_set()

    def finish(self, name: str) -> None:
        """A phase ends, also before its last step."""
        with self._lock:
            self._phases.pop(name, None)
            self._show()

    def end(self) -> None:
        """The build is done, whatever phases TensorRT has left out."""
        with self._lock:
            self._phases.clear()
            self._advance(PARTS)

    def _show(self) -> None:
        roots = [name for name, phase in self._phases.items() if phase.parent not in self._phases]
        self._advance(int(PARTS * max((self._share(name) for name in roots), default=0.0)))

    def _advance(self, reached: int) -> None:
        if reached > self._shown:  # inner phases come again and again: a bar never goes back
            self._progress.advance(reached - self._shown)
            self._shown = reached

    def _share(self, name: str) -> float:
        phase = self._phases[name]
        inner = max((self._share(child) for child, other in self._phases.items() if other.parent == name), default=0.0)
        return min((phase.done + inner) / phase.steps, 1.0)


def monitor(trt: Any, watch: Watch) -> Any:
    """The watch as TensorRT's IProgressMonitor; it must live as long as the builder's configuration."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # the base class exists only where TensorRT does
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            watch.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return watch.step(phase_name)

        def phase_finish(self, phase_name: str) -> None:
            watch.finish(phase_name)

    return Monitor()


def interruptible(work: Callable[[], T], watch: Watch) -> T:
    """The result of `work`, which runs on a thread of its own.

    Raises:
        KeyboardInterrupt: Ctrl-C, after `work` has ended.
        Exception: Whatever `work` raised.
    """
    results: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as problem:
            failures.append(problem)

    thread = threading.Thread(target=run, name="TensorRT build")
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        watch.is_cancelled.set()
        thread.join()
        raise
    if failures:
        raise failures[0]
    return results[0]
