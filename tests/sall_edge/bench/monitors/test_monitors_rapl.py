"""RAPL from folders that are laid out as the kernel's. They cannot show what a CPU's counters really say."""

from pathlib import Path

import pytest

from sall_edge.bench.monitors.rapl import Rapl


def _zone(root: Path, folder: str, name: str, energy_uj: int, largest_uj: int = 1_000_000) -> Path:
    zone = root / folder
    zone.mkdir(parents=True)
    (zone / "name").write_text(f"{name}\n")
    (zone / "energy_uj").write_text(f"{energy_uj}\n")
    (zone / "max_energy_range_uj").write_text(f"{largest_uj}\n")
    return zone


def test_power_is_the_energy_of_packages_and_memory_over_time(tmp_path: Path) -> None:
    package = _zone(tmp_path, "intel-rapl:0", "package-0", 100)
    memory = _zone(tmp_path, "intel-rapl:0:2", "dram", 50)
    rapl = Rapl(tmp_path)
    rapl.start()
    (package / "energy_uj").write_text("500100\n")
    (memory / "energy_uj").write_text("100050\n")
    assert rapl.read(2.0).power_w == pytest.approx(0.3)
    assert rapl.read(1.0).power_w == 0  # nothing since the last reading
    assert (rapl.power_of, rapl.silent, rapl.tells) == ("CPU package and memory", {}, True)


def test_what_lies_within_a_package_or_around_it_is_not_counted_twice(tmp_path: Path) -> None:
    _zone(tmp_path, "intel-rapl:0", "package-0", 0)
    others = [
        _zone(tmp_path, folder, name, 0)
        for folder, name in (
            ("intel-rapl:0:0", "core"),
            ("intel-rapl:0:1", "uncore"),
            ("intel-rapl:1", "psys"),
            ("intel-rapl-mmio:0", "package-0"),
        )
    ]
    rapl = Rapl(tmp_path)
    rapl.start()
    for zone in others:
        (zone / "energy_uj").write_text("900000\n")
    assert rapl.read(1.0).power_w == 0


def test_a_counter_that_began_again_is_carried_over(tmp_path: Path) -> None:
    package = _zone(tmp_path, "intel-rapl:0", "package-0", 900_000, largest_uj=1_000_000)
    rapl = Rapl(tmp_path)
    rapl.start()
    (package / "energy_uj").write_text("400000\n")
    assert rapl.read(1.0).power_w == pytest.approx(0.5)
    (package / "energy_uj").write_text("500000\n")
    assert rapl.read(1.0).power_w == pytest.approx(0.1)


def test_a_counter_that_only_root_may_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = _zone(tmp_path, "intel-rapl:0", "package-0", 1)

    def refuse(path: Path, *_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    rapl = Rapl(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", lambda p, **k: refuse(p) if p.name == "energy_uj" else "package-0")
        rapl.start()
        assert rapl.read(1.0).power_w is None
    assert rapl.silent == {"power of the CPU": f"only root may read {package / 'energy_uj'}"}
    assert (rapl.power_of, rapl.tells) == ("", False)


def test_a_counter_that_vanishes_makes_no_power_of_the_rest(tmp_path: Path) -> None:
    _zone(tmp_path, "intel-rapl:0", "package-0", 1)
    gone = _zone(tmp_path, "intel-rapl:1", "package-1", 1)
    rapl = Rapl(tmp_path)
    rapl.start()
    (gone / "energy_uj").unlink()
    assert rapl.read(1.0).power_w is None
    assert rapl.silent["power of the CPU"].startswith(f"cannot read {gone / 'energy_uj'}")


def test_a_machine_without_counters_says_so_and_invents_nothing(tmp_path: Path) -> None:
    rapl = Rapl(tmp_path)
    rapl.start()
    assert rapl.read(1.0).power_w is None
    assert rapl.silent == {
        "power of the CPU": f"no RAPL counters in {tmp_path}: a virtual machine, or a CPU without them"
    }
    assert rapl.slowed() == ()
