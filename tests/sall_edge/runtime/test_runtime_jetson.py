import re
import subprocess
import time
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

from engines.targets import load_target, target_names
from sall_edge.runtime import jetson
from sall_edge.runtime.jetson import CHIPS, JETPACKS, MODULES, Device, Power, Sources, read_device
from sall_edge.runtime.tensorrt import OLDEST

PAGE = Path(__file__).parents[3] / "docs" / "jetson.md"


def _read(folder: Path, board: Board) -> Device:
    device = read_device(written(folder, board))
    assert device is not None
    return device


@pytest.mark.parametrize(
    ("board", "l4t", "jetpack", "capability", "target", "dla_cores"),
    [
        (ORIN_NANO_JP6, (36, 4, 3), "6.2", "8.7", "orin-nano", 0),
        (ORIN_NX_8, (36, 4, 7), "6.2.1", "8.7", "orin-nx", 1),
        (AGX_ORIN_JP7, (39, 2, 1), "7.2.1", "8.7", "agx-orin", 2),
        (THOR, (38, 2, 2), "7.0", "11.0", "thor", 0),
        (XAVIER_NX, (35, 4, 1), None, "7.2", "", None),
        (FIRST_NANO, (32, 7, 1), None, "5.3", "", None),
    ],
)
def test_a_board_is_known_by_its_device_tree_and_its_release_file(
    tmp_path: Path,
    board: Board,
    l4t: tuple[int, int, int],
    jetpack: str | None,
    capability: str,
    target: str,
    dla_cores: int | None,
) -> None:
    device = _read(tmp_path, board)
    assert device.model == board.model
    assert device.l4t == l4t
    assert (device.jetpack.name if device.jetpack else None) == jetpack
    assert device.chip is not None
    assert device.chip.compute_capability == capability
    assert device.target == target
    assert device.dla_cores == dla_cores


def test_a_computer_without_these_files_is_no_jetson(tmp_path: Path) -> None:
    assert read_device(written(tmp_path, DESKTOP)) is None


def test_a_container_that_hides_the_release_file_is_still_a_jetson(tmp_path: Path) -> None:
    sources = written(tmp_path, ORIN_NANO_JP6)
    sources.release.unlink()
    device = read_device(sources)
    assert device is not None
    assert device.l4t is None
    assert device.jetpack is None
    assert device.target == "orin-nano"


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"# R36 (release)\n", b"R36\n", b"# Rx (release), REVISION: y\n"]
)
def test_a_broken_release_file_says_nothing(tmp_path: Path, content: bytes) -> None:
    sources = written(tmp_path, ORIN_NANO_JP6)
    sources.release.write_bytes(content)
    device = read_device(sources)
    assert device is not None
    assert device.l4t is None


def test_folders_where_files_should_be_are_no_error(tmp_path: Path) -> None:
    sources = written(tmp_path, replace(ORIN_NANO_JP6, modes=()))
    for path in (sources.model, sources.modes, sources.mode_saved):
        path.unlink(missing_ok=True)
        path.mkdir()
    for path in (sources.processors, sources.frequencies):
        path.write_text("a file where a folder should be")
    device = read_device(sources)
    assert device is not None
    assert device.model == "a Jetson that does not tell its name"
    assert device.power == Power()


@pytest.mark.parametrize("l4t", [(39, 2, 2), (40, 0, 0), (37, 1, 0), (36, 6, 0), (36, 3, 0)])
def test_a_release_outside_the_table_is_not_guessed(tmp_path: Path, l4t: tuple[int, int, int]) -> None:
    release = f"# R{l4t[0]} (release), REVISION: {l4t[1]}.{l4t[2]}, GCID: 1\n"
    device = _read(tmp_path, replace(ORIN_NANO_JP6, release=release))
    assert device.l4t == l4t
    assert device.jetpack is None


def test_a_module_outside_the_table_has_no_target(tmp_path: Path) -> None:
    device = _read(tmp_path, replace(ORIN_NANO_JP6, compatible=("vendor,box", "nvidia,tegra234")))
    assert device.target == ""
    assert device.dla_cores is None


def test_the_mode_is_what_nvpmodel_answers(tmp_path: Path) -> None:
    power = _read(tmp_path, ORIN_NANO_JP6).power
    assert power.mode == "25W"
    assert power.others == ("15W", "MAXN_SUPER", "7W")


def test_without_nvpmodel_the_saved_mode_is_named_by_the_boards_own_table(tmp_path: Path) -> None:
    sources = written(tmp_path, ORIN_NANO_JP6)
    Path(sources.mode_command[0]).unlink()
    sources.mode_saved.write_text("pmode:0002")
    device = read_device(sources)
    assert device is not None
    assert device.power.mode == "MAXN_SUPER"
    sources.modes.unlink()
    nameless = read_device(sources)
    assert nameless is not None
    assert nameless.power == Power(mode="number 2")


def test_an_nvpmodel_that_fails_or_hangs_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jetson, "_COMMAND_SECONDS", 0.2)
    sources = written(tmp_path, ORIN_NANO_JP6)
    for script in ("exit 1", "exec sleep 5", "printf '\\377\\376'"):
        Path(sources.mode_command[0]).write_text(f"#!/bin/sh\n{script}\n")
        started = time.monotonic()
        device = read_device(sources)
        assert time.monotonic() - started < 3
        assert device is not None
        assert device.power.mode == ""


@pytest.mark.parametrize(("least", "is_fixed"), [(1_300_000, False), (1_728_000, True)])
def test_clocks_are_fixed_where_least_and_greatest_are_one(tmp_path: Path, least: int, is_fixed: bool) -> None:
    write_clocks(tmp_path, least=least, greatest=1_728_000)
    assert _read(tmp_path, ORIN_NANO_JP6).power.is_fixed is is_fixed


def test_what_a_measurement_depends_on_is_kept_for_its_provenance(tmp_path: Path) -> None:
    described = _read(tmp_path, ORIN_NANO_JP6).described()
    assert described == {"model": ORIN_NANO_JP6.model, "l4t": "36.4.3", "power_mode": "25W", "fixed_clocks": None}


def test_the_tables_agree_with_the_targets_that_ship() -> None:
    for target, capability in [*((module.target, "8.7") for module in MODULES.values()), ("thor", "11.0")]:
        assert load_target(target).compute_capabilities == (capability,)
    refused = {chip.compute_capability for chip in CHIPS.values() if chip.refusal}
    assert refused.isdisjoint({"8.7", "11.0"})
    assert set(load_target("xavier-nx").compute_capabilities) <= refused
    assert {module.target for module in MODULES.values()} <= set(target_names())


def test_every_release_in_the_table_has_a_tensorrt_that_this_project_takes() -> None:
    for release in JETPACKS:
        assert tuple(map(int, release.tensorrt.split("."))) >= OLDEST
    assert [release.l4t for release in JETPACKS] == sorted(release.l4t for release in JETPACKS)


def test_the_page_for_integrators_has_the_same_table() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(("| 6.", "| 7."))]
    for release in JETPACKS:
        linux = f"{release.l4t[0]}.{release.l4t[1]}" + (f".{release.l4t[2]}" if release.l4t[2] else "")
        row = next(row for row in rows if release.name in re.split(r"[ ,|]+", row.split("|")[1]))
        assert linux in re.split(r"[ ,]+", row.split("|")[2].strip())
        assert row.endswith(f"{release.python} | {release.cuda} | {release.tensorrt} |")


def test_the_commands_of_the_page_for_integrators_can_be_parsed() -> None:
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) > 10
    for block in blocks:
        done = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


def test_this_machine_can_be_asked() -> None:
    read_device()
    assert Sources().release == Path("/etc/nv_tegra_release")
