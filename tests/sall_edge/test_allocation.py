import subprocess
import sys

import pytest

from sall_edge.allocation import keep_freed_memory

_FAULTS = """
import resource, sys, torch
if sys.argv[1] == "keep":
    from sall_edge.allocation import keep_freed_memory
    keep_freed_memory()
for _ in range(3): torch.ones(20_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20): torch.ones(20_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_it_may_be_called_anywhere_and_more_than_once() -> None:
    keep_freed_memory()
    keep_freed_memory()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone is told")
def test_a_large_tensor_takes_the_place_of_the_one_that_was_freed() -> None:
    faults = {}
    for way in ("keep", "leave"):
        output = subprocess.run([sys.executable, "-c", _FAULTS, way], capture_output=True, text=True, check=True)
        faults[way] = int(output.stdout)
    # 20 tensors of 80 MB are 390,000 pages of 4 kB. Kept memory serves most: a few find no gap that fits, and a system
    # that reclaims idle pages takes some back (15 and 30 % were seen).
    assert faults["leave"] > 300_000
    assert faults["keep"] < 0.5 * faults["leave"]
