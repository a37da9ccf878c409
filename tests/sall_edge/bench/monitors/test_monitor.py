"""Readings of a long run, thinned."""

import pytest

from sall_edge.bench.monitors.monitor import Reading, thinned


def test_neighbours_become_one_with_their_highest_temperature_mean_clock_and_mean_power() -> None:
    readings = [
        Reading(at_s=1.0, temperature_c=50.0, clock_mhz=1000.0, power_w=10.0),
        Reading(at_s=4.0, temperature_c=60.0, clock_mhz=2000.0, power_w=20.0),
        Reading(at_s=5.0, temperature_c=55.0, clock_mhz=1500.0, power_w=8.0),
    ]
    first, last = thinned(readings, 2)
    assert (first.at_s, first.temperature_c, first.clock_mhz) == (4.0, 60.0, 1500.0)
    assert first.power_w == pytest.approx((10.0 * 1 + 20.0 * 3) / 4)  # the second stood for three seconds
    assert last == readings[2]


def test_energy_is_the_same_after_thinning() -> None:
    readings = [Reading(at_s=float(at), power_w=float(at % 7)) for at in range(1, 101)]

    def energy(some: tuple[Reading, ...]) -> float:
        starts = [0.0, *(one.at_s for one in some)]
        return sum((one.power_w or 0) * (one.at_s - start) for one, start in zip(some, starts, strict=False))

    assert energy(thinned(readings, 12)) == pytest.approx(energy(tuple(readings)))


def test_few_readings_stay_as_they_are_and_none_stays_none() -> None:
    readings = [Reading(at_s=1.0), Reading(at_s=2.0, power_w=3.0)]
    assert thinned(readings, 600) == tuple(readings)
    assert thinned([], 600) == ()


def test_what_is_not_told_stays_unknown() -> None:
    (only,) = thinned([Reading(at_s=1.0), Reading(at_s=2.0)], 1)
    assert (only.temperature_c, only.clock_mhz, only.power_w) == (None, None, None)
