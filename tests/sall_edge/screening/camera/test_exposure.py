import pytest

from sall_edge.screening.camera.exposure import ExposureClock


def _earliest(clock: ExposureClock, reads: list[tuple[float | None, float, float]]) -> list[float]:
    return [clock.earliest_s(stamp, began_s=began, arrived_s=arrived) for stamp, began, arrived in reads]


def test_nothing_is_older_than_the_opening() -> None:
    assert _earliest(ExposureClock(opened_s=10.0, buffers=4), [(None, 10.0, 10.1)]) == [10.0]
    assert _earliest(ExposureClock(opened_s=10.0, buffers=None), [(None, 99.0, 99.1)]) == [10.0]


def test_a_stamped_frame_was_exposed_after_the_frame_before_was_read_out() -> None:
    clock = ExposureClock(opened_s=0.0, buffers=None)
    assert _earliest(clock, [(1.0, 0.9, 1.01), (1.1, 1.02, 1.11), (1.2, 1.12, 1.21)]) == [0.0, 1.0, 1.1]


def test_without_stamps_a_frame_is_as_old_as_the_buffers_allow() -> None:
    clock = ExposureClock(opened_s=0.0, buffers=3)
    reads = [(None, float(second), second + 0.5) for second in range(1, 9)]
    # the read that began three buffers and two frames in the making ago
    assert _earliest(clock, reads) == [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0]


def test_stamps_go_before_a_count_of_buffers_that_may_be_too_low() -> None:
    clock = ExposureClock(opened_s=0.0, buffers=1)
    old_stamps = [(0.001 * number, float(number), number + 0.1) for number in range(1, 8)]
    assert _earliest(clock, old_stamps)[-1] == 0.006


@pytest.mark.parametrize(
    "stamps",
    [
        pytest.param([1.7e9, 1.7e9 + 1, 1.7e9 + 2], id="the time of day"),
        pytest.param([0.0, 0.0, 0.0], id="none"),
        pytest.param([5.0, 5.0, 5.0], id="before the opening"),
        pytest.param([101.5, 101.5, 101.5], id="always the same"),
    ],
)
def test_stamps_of_another_clock_are_not_used(stamps: list[float]) -> None:
    clock = ExposureClock(opened_s=100.0, buffers=None)
    reads = [(stamp, 101.9 + number, 102.0 + number) for number, stamp in enumerate(stamps)]
    assert _earliest(clock, reads)[-1] == pytest.approx(100.0, abs=1.5)
    assert all(bound <= 101.5 for bound in _earliest(clock, reads))


def test_a_lost_stamp_is_not_bridged() -> None:
    clock = ExposureClock(opened_s=0.0, buffers=None)
    assert _earliest(clock, [(1.0, 0.9, 1.0), (None, 1.0, 1.1), (1.2, 1.1, 1.2), (1.3, 1.2, 1.3)]) == [0, 0, 0, 1.2]
