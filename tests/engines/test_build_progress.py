import threading

import pytest

from engines.build_progress import PARTS, Quiet, Watch, interruptible


class _Bar:
    def __init__(self) -> None:
        self.reached: list[int] = [0]

    def stage(self, name: str, total: int) -> None:
        raise AssertionError("a watch opens no stage")

    def advance(self, n: int = 1) -> None:
        assert n > 0
        self.reached.append(self.reached[-1] + n)


def test_steps_of_an_inner_phase_are_parts_of_an_outer_step() -> None:
    bar = _Bar()
    watch = Watch(bar)
    watch.start("build", None, 2)
    watch.start("time tactics", "build", 5)
    for _ in range(4):
        assert watch.step("time tactics")
    assert bar.reached[-1] == PARTS * 4 // 10
    watch.finish("time tactics")
    watch.step("build")
    assert bar.reached[-1] == PARTS // 2
    watch.step("build")
    assert bar.reached[-1] == PARTS


def test_a_phase_that_comes_again_never_moves_the_bar_back() -> None:
    bar = _Bar()
    watch = Watch(bar)
    watch.start("build", None, 1)
    for _ in range(3):
        watch.start("reformat", "build", 2)
        watch.step("reformat")
        watch.finish("reformat")
    assert bar.reached == [0, PARTS // 2]


def test_more_steps_than_were_announced_do_not_overrun() -> None:
    bar = _Bar()
    watch = Watch(bar)
    watch.start("build", None, 1)
    for _ in range(5):
        watch.step("build")
    assert bar.reached[-1] == PARTS


def test_the_end_fills_the_bar() -> None:
    bar = _Bar()
    watch = Watch(bar)
    watch.start("build", None, 6)
    watch.step("build")
    watch.end()
    watch.end()
    assert bar.reached[-1] == PARTS


def test_a_phase_that_was_never_started_is_no_error() -> None:
    watch = Watch(Quiet())
    assert watch.step("unknown")
    watch.finish("unknown")


def test_a_cancelled_build_is_asked_to_stop() -> None:
    watch = Watch(Quiet())
    watch.start("build", None, 10)
    watch.is_cancelled.set()
    assert not watch.step("build")


def test_work_runs_on_a_thread_of_its_own_and_its_result_comes_back() -> None:
    assert interruptible(threading.get_ident, Watch(Quiet())) != threading.get_ident()


def test_an_error_of_the_work_comes_back_as_it_is() -> None:
    def fail() -> None:
        raise LookupError("no tactic")

    with pytest.raises(LookupError, match="no tactic"):
        interruptible(fail, Watch(Quiet()))
