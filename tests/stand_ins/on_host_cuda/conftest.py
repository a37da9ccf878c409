import ctypes
from collections.abc import Iterator

import pytest

KINDS = ("device", "pinned", "streams", "events", "graphs")


class HostCuda:
    """The driver that PyCUDA calls here: what is alive in it, and how to make it fail."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libcuda.so.1")
        self._library.host_cuda_allocations.restype = ctypes.c_long

    @property
    def live(self) -> dict[str, int]:
        return {kind: self._library.host_cuda_live(number) for number, kind in enumerate(KINDS)}

    @property
    def allocations(self) -> int:
        return int(self._library.host_cuda_allocations())

    @property
    def violations(self) -> int:
        """Copies and frees outside the memory that was allocated, and guard bytes that were overwritten."""
        return int(self._library.host_cuda_violations())

    @property
    def is_clean(self) -> bool:
        return not any(self.live.values()) and not self.contexts and not self._library.host_cuda_depth()

    @property
    def contexts(self) -> int:
        return int(self._library.host_cuda_contexts())

    def fail_after(self, allocations: int) -> None:
        self._library.host_cuda_fail_after(allocations)

    def set_integrated(self, yes: int) -> None:
        self._library.host_cuda_set_integrated(yes)


@pytest.fixture
def host_cuda() -> Iterator[HostCuda]:
    """Clean before and after: a test that leaks fails."""
    driver = HostCuda()
    before = driver.violations
    assert driver.is_clean, (driver.live, driver.contexts)
    yield driver
    driver.fail_after(-1)
    driver.set_integrated(0)
    assert driver.is_clean, (driver.live, driver.contexts)
    assert driver.violations == before
