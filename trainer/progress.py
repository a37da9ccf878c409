"""How a long computation says where it is; the command line draws it."""

from typing import Protocol, runtime_checkable

__all__ = ["Progress", "Silence"]


@runtime_checkable  # for the shape checks of the tests
class Progress(Protocol):
    """Listens to stages that are counted in steps."""

    def stage(self, name: str, total: int) -> None:
        """A stage of `total` steps begins; the one before has ended."""

    def advance(self, n: int = 1) -> None:
        """So many steps are done."""

    def note(self, text: str) -> None:
        """Something worth a line: a warning, or an epoch's score."""


class Silence:
    """Progress that nobody watches."""

    def stage(self, name: str, total: int) -> None:
        """Says nothing."""

    def advance(self, n: int = 1) -> None:
        """Says nothing."""

    def note(self, text: str) -> None:
        """Says nothing."""
