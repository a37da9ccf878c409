"""OpenVINO is imported without its converter and the usage statistics that come with it."""

import subprocess
import sys

import pytest

IMPORTED = "import sys; from sall_edge.runtime.openvino_library import ov; "


def in_a_new_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_nothing_that_counts_usage_is_imported() -> None:
    names = in_a_new_process(IMPORTED + "print(*sorted(sys.modules))").split()
    assert "openvino" in names
    assert not [name for name in names if "telemetry" in name or name.startswith("openvino.tools")]


def test_the_converter_can_still_be_imported_by_who_wants_it() -> None:
    pytest.importorskip("openvino.tools.ovc")
    assert in_a_new_process(IMPORTED + "import openvino.tools.ovc as ovc; print(callable(ovc.convert_model))") == "True"


def test_a_converter_that_was_imported_before_stays() -> None:
    code = "import openvino.tools.ovc as before; " + IMPORTED + "print(sys.modules['openvino.tools.ovc'] is before)"
    assert in_a_new_process(code) == "True"
