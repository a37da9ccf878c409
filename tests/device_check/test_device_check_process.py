import os
import signal
import sys
import time
from pathlib import Path

import pytest

from benchmarks.device_check.__main__ import step_record
from benchmarks.device_check.findings import Findings
from benchmarks.device_check.process import Ended, run
from benchmarks.device_check.record import Outcome
from sall_edge.errors import BuildError

ROOT = Path(__file__).parents[2]


def _python(code: str, *, timeout_s: float = 60) -> Ended:
    prelude = f"import os, signal, sys, time; sys.path.insert(0, {str(ROOT)!r})\n"
    return run((sys.executable, "-c", prelude + code), timeout_s=timeout_s)


def test_a_step_that_ends_well_leaves_its_facts_and_its_memory(tmp_path: Path) -> None:
    place = tmp_path / "findings.json"
    ended = _python(
        "from benchmarks.device_check.findings import Findings; from pathlib import Path\n"
        f"Findings(Path({str(place)!r})).note(p50_ms=1.5)\n"
        "held = bytearray(100 << 20); time.sleep(0.4)"
    )
    record = step_record("speed", ended, place)
    assert (record.outcome, record.error, record.facts) == (Outcome.PASSED, None, {"p50_ms": 1.5})
    assert 100 < record.peak_resident_mib < 1000
    assert 0 < record.seconds < 60


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (signal.SIGKILL, "it was ended by SIGKILL: the kernel does that when memory runs out"),
        (signal.SIGSEGV, "it was ended by SIGSEGV: a native library crashed"),
        (signal.SIGABRT, "it was ended by SIGABRT: a native library gave up"),
        (signal.SIGBUS, "it was ended by SIGBUS: a native library read memory that is not there"),
        (signal.SIGTERM, "it was ended by SIGTERM: nobody here sent it"),
    ],
)
def test_a_step_that_dies_is_told_with_what_it_had_found(number: signal.Signals, told: str, tmp_path: Path) -> None:
    place = tmp_path / "findings.json"
    Findings(place).note(build_s=12.5)
    ended = _python(f"print('compiling', flush=True); os.kill(os.getpid(), {int(number)})")
    record = step_record("build", ended, place)
    assert record.outcome is Outcome.FAILED
    assert record.error == {"what": told, "why": "compiling", "fix": "send the report"}
    assert record.facts == {"build_s": 12.5}
    assert record.tail == ("compiling",)


def test_a_step_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    child = tmp_path / "child"
    start = time.perf_counter()
    ended = _python(
        "import subprocess\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(child)!r}, 'w').write(str(child.pid)); time.sleep(600)",
        timeout_s=2,
    )
    assert time.perf_counter() - start < 30
    assert ended.reason == "it was ended after 2 s"
    record = step_record("endurance", ended, tmp_path / "nothing")
    assert record.error == {"what": "it was ended after 2 s", "why": "it said nothing", "fix": "send the report"}
    for _ in range(50):  # whoever adopts it may need a moment to bury it
        if not _is_alive(int(child.read_text())):
            break
        time.sleep(0.1)
    else:
        pytest.fail("the grandchild goes on")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_an_error_of_ours_keeps_its_three_parts(tmp_path: Path) -> None:
    place = tmp_path / "findings.json"
    found = Findings(place)
    found.note(before=1)
    found.fail(BuildError("TensorRT refuses it", "no kernel", "raise workspace_mib"))
    record = step_record("build", _python("sys.exit(1)"), place)
    assert record.error == {"what": "TensorRT refuses it", "why": "no kernel", "fix": "raise workspace_mib"}
    assert record.facts == {"before": 1}


def test_an_error_that_nobody_foresaw_keeps_its_traceback(tmp_path: Path) -> None:
    place = tmp_path / "findings.json"
    try:
        raise ZeroDivisionError("by nothing")
    except ZeroDivisionError as problem:
        Findings(place).fail(problem)
    record = step_record("speed", _python("sys.exit(1)"), place)
    assert record.error is not None
    assert record.error["what"] == "ZeroDivisionError: by nothing"
    assert "test_device_check_process.py" in record.error["why"]
    assert record.error["fix"] == "send the report: nobody foresaw this"


def test_a_step_that_says_no_by_its_exit_code_alone_is_a_failure(tmp_path: Path) -> None:
    record = step_record("doctor", _python("sys.exit('no such thing')"), tmp_path / "nothing")
    assert record.error is not None
    assert (record.error["what"], record.error["why"]) == ("it ended with exit code 1", "no such thing")
