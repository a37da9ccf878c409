"""Real signals, to this process."""

import os
import signal

import pytest

from sall_edge.cli.stopping import Stopping

CODES = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.mark.parametrize(("number", "code"), CODES)
def test_a_signal_ends_the_program_with_its_code(number: signal.Signals, code: int) -> None:
    with pytest.raises(SystemExit) as ended, Stopping():
        os.kill(os.getpid(), number)
    assert ended.value.code == code


@pytest.mark.parametrize(("number", "code"), CODES)
def test_inside_a_step_it_is_only_noted(number: signal.Signals, code: int) -> None:
    with Stopping() as stopping, stopping.noted():
        assert stopping.exit_code is None
        os.kill(os.getpid(), number)
        assert stopping.exit_code == code


def test_the_second_one_ends_a_step_that_hangs() -> None:
    with Stopping() as stopping, stopping.noted():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(SystemExit):
            os.kill(os.getpid(), signal.SIGTERM)


def test_handlers_are_as_before_afterwards() -> None:
    before = [signal.getsignal(number) for number, _ in CODES]
    with Stopping():
        assert [signal.getsignal(number) for number, _ in CODES] != before
    assert [signal.getsignal(number) for number, _ in CODES] == before
