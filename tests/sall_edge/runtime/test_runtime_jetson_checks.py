import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.jetson_board import (
    AGX_ORIN_JP7,
    DESKTOP,
    FIRST_NANO,
    ORIN_NANO_JP6,
    ORIN_NX_8,
    THOR,
    XAVIER_NX,
    Board,
    write_clocks,
    written,
)

from engines.targets import load_target
from sall_edge.runtime.check import Check
from sall_edge.runtime.jetson import read_device
from sall_edge.runtime.jetson_checks import jetson_checks, predicted_peak_mib

ALL_BOARDS = (ORIN_NANO_JP6, ORIN_NX_8, AGX_ORIN_JP7, THOR, XAVIER_NX, FIRST_NANO, DESKTOP)
_Version = namedtuple("_Version", ["major", "minor", "micro"])


@pytest.fixture(autouse=True)
def python_310(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", _Version(3, 10, 12))


def _checks(
    folder: Path,
    board: Board,
    *,
    tensorrt: str = "",
    available_mib: float | None = None,
    workspace_mib: int | None = 512,
) -> dict[str, Check]:
    device = read_device(written(folder, board))
    found = jetson_checks(device, tensorrt=tensorrt, available_mib=available_mib, workspace_mib=workspace_mib)
    return {check.name: check for check in found}


@pytest.mark.parametrize("board", ALL_BOARDS)
@pytest.mark.parametrize("tensorrt", ["", "10.3.0", "8.5.2.2", "11.4.1.9", "unknown"])
def test_every_board_is_judged_and_a_remedy_stands_exactly_where_something_is_wrong(
    tmp_path: Path, board: Board, tensorrt: str
) -> None:
    checks = _checks(tmp_path, board, tensorrt=tensorrt, available_mib=900)
    for check in checks.values():
        assert check.detail
        assert bool(check.fix) == (not check.ok), check


def test_a_desktop_gets_one_line(tmp_path: Path) -> None:
    assert list(_checks(tmp_path, DESKTOP)) == ["JetPack"]
    assert _checks(tmp_path, DESKTOP)["JetPack"].detail == "this machine is not a Jetson"


def test_an_orin_nano_as_it_should_be_has_nothing_to_mend(tmp_path: Path) -> None:
    checks = _checks(tmp_path, ORIN_NANO_JP6, tensorrt="10.3.0", available_mib=5000)
    assert all(check.ok for check in checks.values())
    assert checks["JetPack"].detail == "6.2 (Jetson Linux 36.4.3): TensorRT 10.3, CUDA 12.6, Python 3.10"
    assert "Orin Nano 8 GB" in checks["board"].detail
    assert checks["board"].detail.endswith("target orin-nano)")
    assert checks["INT8 on the GPU"].detail == "compute capability 8.7: computed in hardware"
    assert checks["TensorRT of JetPack"].detail == "10.3.0, as JetPack 6.2 ships it"
    assert checks["power mode"].detail.startswith(
        "25W; the board also has 15W, MAXN_SUPER, 7W; a bench in another mode"
    )
    assert checks["DLA"].detail == "this board has none; everything runs on the GPU"


@pytest.mark.parametrize(
    ("board", "reason"),
    [
        (FIRST_NANO, "compute capability 5.3: no INT8, and its last TensorRT is 8.2 (JetPack 4.6)"),
        (XAVIER_NX, "compute capability 7.2: its last TensorRT is 8.5 (JetPack 5.1)"),
    ],
)
def test_a_board_that_is_too_old_is_refused_and_told_what_runs_instead(
    tmp_path: Path, board: Board, reason: str
) -> None:
    checks = _checks(tmp_path, board)
    assert checks["INT8 on the GPU"].detail == reason
    assert not checks["JetPack"].ok
    for name in ("JetPack", "INT8 on the GPU"):
        assert checks[name].fix == "build for its CPU: sall-edge build ... --target openvino-cpu"
    assert load_target("openvino-cpu").backend == "openvino"


def test_an_orin_with_jetpack_5_or_6_0_is_told_to_upgrade(tmp_path: Path) -> None:
    for release in ("# R35 (release), REVISION: 5.0", "# R36 (release), REVISION: 3.0"):
        check = _checks(tmp_path, replace(ORIN_NANO_JP6, release=release))["JetPack"]
        assert check.detail.endswith("is older than JetPack 6.1, the first with TensorRT 10.3")
        assert check.fix == "flash or upgrade to JetPack 6.1 or later (docs/jetson.md)"


def test_a_tensorrt_that_is_not_jetpacks_is_reported(tmp_path: Path) -> None:
    check = _checks(tmp_path, ORIN_NANO_JP6, tensorrt="10.16.1.11")["TensorRT of JetPack"]
    assert check.detail == "Python finds 10.16.1.11, JetPack 6.2 ships 10.3"
    assert check.fix.startswith("pip uninstall tensorrt, when pip put it there")
    assert "11.4.1" not in check.fix


def test_a_missing_tensorrt_names_its_package_and_the_venv(tmp_path: Path) -> None:
    check = _checks(tmp_path, ORIN_NANO_JP6)["TensorRT of JetPack"]
    assert check.detail == "Python finds none, JetPack ships 10.3"
    assert check.fix == (
        "sudo apt install python3-libnvinfer, and "
        "make the venv with /usr/bin/python3.10 -m venv --system-site-packages .venv"
    )


def test_jetpack_7_needs_its_own_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = _checks(tmp_path, AGX_ORIN_JP7, tensorrt="10.16.2.10")["TensorRT of JetPack"]
    assert check.detail == "this is Python 3.10, JetPack's binding is for Python 3.12"
    assert "/usr/bin/python3.12" in check.fix
    monkeypatch.setattr(sys, "version_info", _Version(3, 12, 3))
    assert _checks(tmp_path, AGX_ORIN_JP7, tensorrt="10.16.2.10")["TensorRT of JetPack"].ok
    newer = _checks(tmp_path, AGX_ORIN_JP7, tensorrt="11.4.1.9")["TensorRT of JetPack"]
    assert newer.fix.endswith("NVIDIA supports 11.4.1 from JetPack 7.2.2 on, on AGX Orin and Thor")
    assert _checks(tmp_path, THOR, tensorrt="10.13.3.9")["TensorRT of JetPack"].ok


def test_a_release_that_is_newer_than_the_table_is_not_judged(tmp_path: Path) -> None:
    board = replace(AGX_ORIN_JP7, release="# R39 (release), REVISION: 2.2")
    checks = _checks(tmp_path, board, tensorrt="11.4.1.9")
    assert checks["JetPack"].ok
    assert "not in this version's table (newest there: JetPack 7.2.1)" in checks["JetPack"].detail
    assert checks["TensorRT of JetPack"].detail == "not judged on this JetPack"


def test_a_jetson_whose_release_cannot_be_read_is_reported(tmp_path: Path) -> None:
    check = _checks(tmp_path, replace(ORIN_NANO_JP6, release="nonsense\n"))["JetPack"]
    assert check.detail == "the version of Jetson Linux cannot be read"
    assert "/etc/nv_tegra_release" in check.fix


def test_an_unknown_chip_or_module_is_said_to_be_unknown(tmp_path: Path) -> None:
    checks = _checks(tmp_path, replace(ORIN_NANO_JP6, compatible=("nvidia,tegra999",)), workspace_mib=None)
    assert "neither its module nor its chip is in this version's table" in checks["board"].detail
    assert checks["INT8 on the GPU"].detail == "not known for this chip; the builder asks the GPU"
    assert checks["DLA"].detail == "how many cores this board has is not in this version's table"


def test_memory_is_held_against_the_estimate_of_a_build(tmp_path: Path) -> None:
    peak_mib = predicted_peak_mib(512)
    assert peak_mib == 512 + 300 + 1024
    assert _checks(tmp_path, ORIN_NANO_JP6, available_mib=peak_mib)["memory for a build"].ok
    check = _checks(tmp_path, ORIN_NANO_JP6, available_mib=peak_mib - 1)["memory for a build"]
    assert not check.ok
    assert check.detail == "1.8 GiB free for CPU and GPU together; a build for orin-nano is estimated at 1.8 GiB"
    assert "sudo systemctl isolate multi-user.target" in check.fix
    assert "memory for a build" not in _checks(tmp_path, ORIN_NANO_JP6, available_mib=None)


def test_power_and_clocks_inform_and_never_fail(tmp_path: Path) -> None:
    silent = _checks(tmp_path / "silent", replace(ORIN_NANO_JP6, modes=()))
    assert silent["power mode"].detail.startswith("cannot be read (sudo nvpmodel -q tells)")
    assert "sudo jetson_clocks --show" in silent["clocks"].detail
    (tmp_path / "fixed").mkdir()
    write_clocks(tmp_path / "fixed", least=9, greatest=9)
    assert _checks(tmp_path / "fixed", ORIN_NANO_JP6)["clocks"].detail.startswith("fixed;")
    (tmp_path / "free").mkdir()
    write_clocks(tmp_path / "free", least=1, greatest=9)
    free = _checks(tmp_path / "free", ORIN_NANO_JP6)["clocks"]
    assert free.ok
    assert free.detail.endswith("before a bench: sudo jetson_clocks")


@pytest.mark.parametrize(
    ("board", "tensorrt", "detail"),
    [
        (ORIN_NX_8, "10.3.0", "1 core"),
        (AGX_ORIN_JP7, "", "2 cores"),
        (
            AGX_ORIN_JP7,
            "10.16.2.10",
            "2 cores, which TensorRT 10.16.2.10 cannot use: NVIDIA left DLA out of 10.8 to 11.3",
        ),
        (AGX_ORIN_JP7, "11.4.1.9", "2 cores"),
        (THOR, "10.13.3.9", "this board has none; everything runs on the GPU"),
    ],
)
def test_dla_cores_are_counted_and_what_tensorrt_cannot_use_is_said(
    tmp_path: Path, board: Board, tensorrt: str, detail: str
) -> None:
    check = _checks(tmp_path, board, tensorrt=tensorrt)["DLA"]
    assert check.ok
    assert check.detail == detail
