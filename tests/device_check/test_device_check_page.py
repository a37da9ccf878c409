from benchmarks.device_check.order import Action, Arm, Step
from benchmarks.device_check.page import CLOSING, page
from benchmarks.device_check.record import Outcome, Record, StepRecord
from sall_edge.spec import Precision

INT8 = Precision.INT8
DEVICE = {
    "jetson": {
        "model": "Jetson Orin Nano", "l4t": "36.4.3", "jetpack": "6.2", "power_mode": "15W", "fixed_clocks": False,
    },
    "gpu": {"name": "Orin", "compute_capability": "8.7"},
    "versions": {"tensorrt": "10.3.0"},
}  # fmt: skip


def _step(action: Action, arm: Arm | None = None, outcome: Outcome = Outcome.PASSED, **facts: object) -> StepRecord:
    return StepRecord(name=Step(action, arm, INT8 if arm else None).name, outcome=outcome, facts=facts, seconds=3.25)


def _record(*steps: StepRecord) -> Record:
    return Record(started="2026-11-25T00:00:00+00:00", options={}, steps=list(steps), is_finished=True)


def _latency(p50: float, p99: float | None) -> dict[str, float | None]:
    return {"n": 700, "p50_ms": p50, "p90_ms": p50 + 1, "p99_ms": p99}


def test_the_first_lines_say_what_the_device_is_and_what_failed() -> None:
    lines = page(_record(_step(Action.DEVICE, **DEVICE), _step(Action.TESTS, outcome=Outcome.FAILED))).splitlines()
    assert lines[0] == "# Device check"
    assert lines[2:8] == [
        "- device: Jetson Orin Nano",
        "- GPU: Orin, compute capability 8.7",
        "- JetPack: 6.2 (Jetson Linux 36.4.3)",
        "- TensorRT: 10.3.0",
        "- power mode: 15W, clocks free (jetson_clocks fixes them)",
        "- failed: gpu tests",
    ]
    assert "- state: finished" in lines
    assert lines[-1] == CLOSING


def test_a_report_that_was_cut_off_says_so() -> None:
    record = _record(_step(Action.DOCTOR))
    record.is_finished = False
    assert "- state: NOT FINISHED: it still runs, or the device stopped" in page(record)


def test_an_engine_is_one_row_with_the_ratio_to_the_cpu() -> None:
    tasks = {"dr": {"largest_difference": 0.0123, "lost_referrals": 1, "gained_referrals": 2}}
    clocks = {"stream_p50_ms": 1.25}
    text = page(
        _record(
            _step(Action.BUILD, Arm.GPU, build_s=61.5, convolutions_by_dtype={"int8": 49, "fp32": 4}),
            _step(Action.BUILD_AGAIN, Arm.GPU, build_s=7.0),
            _step(Action.NUMBERS, Arm.GPU, tasks=tasks),
            _step(
                Action.SPEED,
                Arm.GPU,
                cuda_graph=_latency(2.0, 3.5),
                kernel_by_kernel=_latency(2.5, None),
                cuda_graph_clocks=clocks,
                with_copies=_latency(2.25, None),
                throughput={"images_per_s": 812.34},
            ),
            _step(Action.BUILD, Arm.CPU, build_s=0.5),
            _step(Action.SPEED, Arm.CPU, openvino=_latency(9.0, None)),
        )
    )
    assert (
        "| gpu int8 | 61.50 | 7.00 | 49 int8, 4 fp32 | 1.2e-02 | 3 | 2.00 | 3.00 | 3.50 | 2.50 | 1.25 | 2.25 | 812.3 "
        "| 4.50 |" in text
    )
    assert "| cpu int8 | 0.50 | - | - | - | - | 9.00 | 10.00 | - | - | - | - | - | - |" in text


def test_an_engine_that_was_not_built_is_no_row_and_its_reason_stands_among_the_steps() -> None:
    error = {"what": "no | kernel", "why": "memory", "fix": "close\nthe desktop"}
    failed = StepRecord(name="build gpu int8", outcome=Outcome.FAILED, error=error, tail=("Killed",))
    text = page(_record(failed))
    assert "## Engines" not in text
    assert "| build gpu int8 | failed | 0.0 | 0 | 0 | no \\| kernel |" in text
    assert "- fix: close the desktop" in text
    assert "```\nKilled\n```" in text


def test_a_long_fact_is_cut_and_says_where_all_of_it_is() -> None:
    text = page(_record(_step(Action.DOCTOR, checks=["x" * 1000])))
    assert "… (all of it in report.json)" in text
    assert "x" * 400 not in text
