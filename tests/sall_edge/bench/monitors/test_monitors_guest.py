"""What a host took, from a /proc/stat that is written here; and that this kernel writes one like it."""

from pathlib import Path

import pytest

from sall_edge.bench.monitors.guest import Guest


class _Machine:
    """Its counters and this process's CPU time, set by the test."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "stat"
        self.own = 0.0
        self.set(user=0, steal=0)

    def set(self, *, user: int, steal: int) -> None:
        self.path.write_text(f"cpu  {user} 0 0 500 0 0 0 {steal} 0 0\ncpu0 1 2 3\n")

    def guest(self) -> Guest:
        guest = Guest(self.path, ticks_per_s=100, own_seconds=lambda: self.own)
        guest.start()
        return guest


@pytest.fixture
def machine(tmp_path: Path) -> _Machine:
    return _Machine(tmp_path)


def test_steal_is_a_share_of_what_was_asked_for_and_not_of_idle_time(machine: _Machine) -> None:
    guest = machine.guest()
    machine.set(user=950, steal=50)
    assert guest.slowed() == ("the host took 5.0 % of the CPU time that was asked for here (steal)",)


@pytest.mark.parametrize(("user", "steal"), [(2000, 0), (980, 20), (40, 40)])
def test_none_a_little_and_that_of_a_few_ticks_are_not_told(machine: _Machine, user: int, steal: int) -> None:
    guest = machine.guest()
    machine.set(user=user, steal=steal)
    assert guest.slowed() == ()


@pytest.mark.parametrize(("seconds", "load"), [(2.0, 1.0), (0.5, 1.0), (0.25, 0.5), (0.0, 0.0)])
def test_half_a_core_is_full_load(machine: _Machine, seconds: float, load: float) -> None:
    guest = machine.guest()
    machine.own = seconds
    assert guest.read(1.0).load == load


@pytest.mark.parametrize("words", ["", "cpu  1 2", "cpu  0 0 0 0 0 0 0 0 0 0"])
def test_a_file_that_says_nothing_is_said(tmp_path: Path, words: str) -> None:
    (tmp_path / "stat").write_text(words)
    guest = Guest(tmp_path / "stat")
    guest.start()
    where = tmp_path / "stat"
    assert guest.silent == {"time that the host took (steal)": f"{where} cannot be read, or counts nothing"}
    assert guest.slowed() == ()
    assert not guest.tells


def test_this_kernel_writes_the_file_that_is_expected() -> None:
    guest = Guest(Path("/proc/stat"))
    guest.start()
    assert guest.tells
