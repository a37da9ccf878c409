"""Progress on stderr, so that stdout holds results only."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

__all__ = ["ProgressBar", "progress_bar"]


class ProgressBar:
    """A bar per stage; `advance` moves the newest one. Fits `trainer`'s Progress protocol."""

    def __init__(self) -> None:
        import rich.console
        import rich.progress  # here, so that a command without a bar does not wait for it

        self._console = rich.console.Console(stderr=True)
        self._bar = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TimeRemainingColumn(),
            console=self._console,
        )
        self._stage: rich.progress.TaskID | None = None

    def __enter__(self) -> "ProgressBar":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def stage(self, name: str, total: int) -> None:
        """Opens the next bar."""
        self._stage = self._bar.add_task(name, total=total)

    def advance(self, n: int = 1) -> None:
        """Moves the newest bar."""
        if self._stage is not None:
            self._bar.advance(self._stage, n)

    def note(self, text: str) -> None:
        """A line above the bars."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)  # a path may hold brackets


@contextmanager
def progress_bar(name: str, total: int) -> Iterator[ProgressBar]:
    """One bar, open for the length of the block."""
    with ProgressBar() as bar:
        bar.stage(name, total)
        yield bar
