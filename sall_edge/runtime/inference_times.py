"""How the time of one inference was spent."""

from typing import NamedTuple

__all__ = ["InferenceTimes"]


class InferenceTimes(NamedTuple):
    """When the last `infer` did what, by `time.perf_counter`, in seconds.

    Attributes:
        began: Before the squares were copied.
        copied: They lie where the backend reads them; what it copies from there to a device is part of computing.
        computed: The outputs can be read.
    """

    began: float
    copied: float
    computed: float

    @property
    def copy_ms(self) -> float:
        """From the caller's array to where the backend reads."""
        return (self.copied - self.began) * 1e3

    @property
    def infer_ms(self) -> float:
        """From the square in its place to the outputs."""
        return (self.computed - self.copied) * 1e3
