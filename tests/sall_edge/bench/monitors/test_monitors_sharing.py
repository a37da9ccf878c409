"""Who else took the CPU, from a /proc/stat that is written here and from this machine's own."""

from pathlib import Path

import pytest

from sall_edge.bench.monitors.sharing import Sharing


class _Machine:
    """Its counters, its clock and this process's CPU time, all set by the test."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "stat"
        self.now = self.own = 0.0
        self.set(user=0, steal=0)

    def set(self, *, user: int, steal: int) -> None:
        self.path.write_text(f"cpu  {user} 0 0 500 0 0 0 {steal} 0 0\ncpu0 1 2 3\n")

    def sharing(self) -> Sharing:
        return Sharing(self.path, ticks_per_s=100, own_seconds=lambda: self.own, clock=lambda: self.now)


@pytest.fixture
def machine(tmp_path: Path) -> _Machine:
    return _Machine(tmp_path)


def test_a_machine_of_its_own_is_slowed_by_nobody(machine: _Machine) -> None:
    sharing = machine.sharing()
    sharing.start()
    machine.set(user=1900, steal=10)
    machine.now, machine.own = 10.0, 18.5
    assert sharing.slowed() == ()


def test_steal_is_a_share_of_what_was_asked_for_and_not_of_idle_time(machine: _Machine) -> None:
    sharing = machine.sharing()
    sharing.start()
    machine.set(user=950, steal=50)
    machine.now, machine.own = 10.0, 9.5
    assert sharing.slowed() == ("the host took 5.0 % of the CPU time that was asked for here (steal)",)


def test_other_programs_are_what_is_busy_beside_this_process(machine: _Machine) -> None:
    sharing = machine.sharing()
    sharing.start()
    machine.set(user=1500, steal=0)
    machine.now, machine.own = 10.0, 10.0
    assert sharing.slowed() == ("other programs kept 0.50 cores busy",)


def test_a_run_of_a_few_ticks_is_not_judged(machine: _Machine) -> None:
    sharing = machine.sharing()
    sharing.start()
    machine.set(user=40, steal=40)
    machine.now = 0.5
    assert sharing.slowed() == ()


@pytest.mark.parametrize(("seconds", "load"), [(2.0, 1.0), (0.5, 1.0), (0.25, 0.5), (0.0, 0.0)])
def test_half_a_core_is_full_load(machine: _Machine, seconds: float, load: float) -> None:
    sharing = machine.sharing()
    sharing.start()
    machine.own = seconds
    assert sharing.read(1.0).load == load


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    sharing = Sharing(tmp_path / "stat")
    sharing.start()
    assert sharing.silent == {"other users of the CPU": f"{tmp_path / 'stat'} cannot be read"}
    assert sharing.slowed() == ()
    assert not sharing.tells


def test_this_kernel_writes_the_file_that_is_expected() -> None:
    sharing = Sharing(Path("/proc/stat"))
    sharing.start()
    assert sharing.tells
