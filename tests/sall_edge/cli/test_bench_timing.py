"""What people read of stages and monitors."""

from sall_edge.bench.monitors.monitor import Monitored, Reading
from sall_edge.bench.speed.stages import Stage, Stages
from sall_edge.cli.bench_timing import monitored_text, stages_table

DECODE = Stage(
    name="decode", n=70, p50_ms=20.0, p90_ms=31.5, p99_ms=None, floor="a floor", floor_p50_ms=16.0, over_floor=1.25
)
POST = Stage(name="post", n=70, p50_ms=0.25, p90_ms=None, p99_ms=None)
TOTAL = Stage(name="total", n=70, p50_ms=45.0, p90_ms=60.0, p99_ms=None, floor="none: no request")


def _stages(left_out: int) -> Stages:
    return Stages(
        photographs=7,
        rounds=10,
        stages=(DECODE, POST),
        total=TOTAL,
        per_photograph_ms={"decode": 21.0, "post": 0.3},
        left_out=left_out,
    )


def test_stages_have_a_row_each_with_their_floor_and_ratio() -> None:
    assert stages_table(_stages(0)).splitlines() == [
        "from file to verdict, 7 photographs 10 times",
        "  stage      p50 ms   p90 ms   p99 ms  floor ms  over floor",
        "  decode      20.00    31.50        -     16.00        1.25",
        "  post         0.25        -        -",
        "  total       45.00    60.00        -",
        "  floors, in turn with the stages: decode: a floor; total: none: no request",
    ]


def test_photographs_that_were_left_out_are_told() -> None:
    first = stages_table(_stages(2)).splitlines()[0]
    assert first == "from file to verdict, 7 photographs 10 times, 2 left out: unreadable or not gradable"


def test_what_the_sensors_saw_is_told_with_what_nobody_tells() -> None:
    monitored = Monitored(
        sources=("RAPL", "sysfs"),
        silent={"clock of the CPU": "no cpufreq"},
        readings=(Reading(at_s=1, temperature_c=55, power_w=12.5), Reading(at_s=2, temperature_c=61, power_w=14)),
        energy_mj_per_photograph=123.44,
        power_of="CPU package",
    )
    assert monitored_text(monitored).splitlines() == [
        "monitored by RAPL, sysfs",
        "  temperature 55.0 to 61.0 °C",
        "  power 12.5 to 14.0 W",
        "  123.4 mJ a photograph (CPU package)",
        "  unknown: clock of the CPU: no cpufreq",
    ]


def test_a_machine_that_tells_nothing_is_monitored_by_nothing() -> None:
    assert monitored_text(Monitored()) == "monitored by nothing"
