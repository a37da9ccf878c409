"""Everything about this project that only a device can show, in one report.

    make device-check                          with a network of its own: torch is needed to make it
    make device-check ENGINE=path/to/bundle    with a bundle that was made elsewhere: neither torch nor onnx

Every step runs in a process of its own; the report is written after each. Exit: 0 no step failed, 1 no GPU was found or
a step failed (the report's first lines say what; make shows it as "Error 1"), 2 usage.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.device_check.findings import Findings, read_findings
from benchmarks.device_check.order import ORDER_NAME, Action, Arm, Order, Step
from benchmarks.device_check.page import CLOSING, page
from benchmarks.device_check.perform import perform
from benchmarks.device_check.process import Ended, run
from benchmarks.device_check.record import JSON_NAME, MARKDOWN_NAME, Outcome, Record, StepRecord, save
from engines.dla import require_dla
from engines.targets import load_target
from sall_edge.errors import BuildError, SallEdgeError
from sall_edge.spec import Precision, TargetSpec

TIMEOUT_S = 3600.0
"""Of one step: the longest build that owners of small boards report is far below."""
_PROGRAM = "benchmarks.device_check"


class Check:
    """The report while it is made.

    Args:
        order: What every step is told; the target is added once the device has told it.
        output: Folder of the report.
        timeout_s: Of one step.
    """

    def __init__(self, order: Order, output: Path, *, timeout_s: float) -> None:
        self.order = order
        self.record = Record(started=datetime.now(timezone.utc).isoformat(timespec="seconds"), options={})
        options = order.model_dump(mode="json", include={"seconds", "inferences", "photographs"})
        self.record.options = {**options, "engine": "a bundle" if order.engine else None}
        self._output, self._timeout_s = output, timeout_s
        self._private = private_paths(order)

    def run(self) -> None:
        """All steps; Ctrl-C ends the one that runs and leaves out the rest."""
        try:
            for step, needed in self._steps():
                self._show(f"{step.name} ...")
                self._keep(self._done(step, needed))
        except KeyboardInterrupt:
            error = {"what": "interrupted", "why": "Ctrl-C", "fix": "run it again"}
            self._keep(StepRecord(name="the rest", outcome=Outcome.FAILED, error=error))
        self.record.is_finished = True
        self._save()

    def _steps(self) -> Iterator[tuple[Step, str | None]]:
        """Steps, each with the name of the one without which it has no sense."""
        for action in (Action.DOCTOR, Action.DEVICE, Action.GRAPHS):
            yield Step(action), None
        self._take_target()
        yield Step(Action.TESTS), None if self.record.passed(Action.DEVICE.value) else Action.DEVICE.value
        target = self.order.target
        precisions = target.precisions if target else tuple(Precision)
        yield from self._arm(Arm.GPU, precisions)
        best = next((p for p in precisions if self.record.passed(Step(Action.BUILD, Arm.GPU, p).name)), precisions[0])
        built = Step(Action.BUILD, Arm.GPU, best).name
        for action in (Action.PHOTOGRAPH, Action.ENDURANCE, Action.REBUILD):
            yield Step(action, Arm.GPU, best), built
        if cores := self.record.facts(Action.DEVICE.value).get("jetson", {}).get("dla_cores"):
            yield from self._on_dla(cores)
        yield from self._arm(Arm.CPU, load_target("openvino-cpu").precisions)

    def _arm(self, arm: Arm, precisions: tuple[Precision, ...]) -> Iterator[tuple[Step, str | None]]:
        for precision in precisions:
            needed = Action.GRAPHS.value
            if arm is not Arm.CPU and self.order.target is None:
                needed = Action.DEVICE.value
            build = Step(Action.BUILD, arm, precision)
            yield build, needed
            if arm is Arm.GPU:
                yield Step(Action.BUILD_AGAIN, arm, precision), build.name
            yield Step(Action.NUMBERS, arm, precision), build.name
            yield Step(Action.SPEED, arm, precision), build.name

    def _on_dla(self, cores: int) -> Iterator[tuple[Step, str | None]]:
        """The accelerator's steps; one that says why, where this TensorRT has none, because nothing failed then."""
        version = self.record.facts(Action.DEVICE.value).get("versions", {}).get("tensorrt")
        try:
            if self.order.target and version:
                require_dla(version, cores=cores, target=self.order.target_of(Arm.DLA))
        except BuildError as problem:
            error = {"what": problem.what, "why": problem.why, "fix": problem.fix}
            name = Step(Action.BUILD, Arm.DLA, Precision.FP16).name
            self._keep(StepRecord(name=name, outcome=Outcome.NOT_RUN, error=error))
        else:
            yield from self._arm(Arm.DLA, (Precision.FP16,))

    def _take_target(self) -> None:
        found = self.record.facts(Action.DEVICE.value).get("target")
        if self.order.target is None and found:
            self.order = self.order.model_copy(update={"target": TargetSpec.model_validate(found)})

    def _done(self, step: Step, needed: str | None) -> StepRecord:
        before = self.record.step(needed) if needed else None
        if before is not None and before.outcome is not Outcome.PASSED:
            error = {"what": f"`{needed}` did not pass", "why": "", "fix": ""}
            if before.error:
                error = {**before.error, "what": f"`{needed}` did not pass: {before.error['what']}"}
            return StepRecord(name=step.name, outcome=Outcome.NOT_RUN, error=error)
        return _run(step, self.order, timeout_s=self._timeout_s)

    def _keep(self, record: StepRecord) -> None:
        self.record.steps.append(record)
        self._show(f"  {record.outcome.value}, {record.seconds:.1f} s" + _told(record))
        self._save()

    def _save(self) -> None:
        save(self.record, page(self.record), self._output, private=self._private)

    def _show(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def private_paths(order: Order) -> dict[str, str]:
    """Paths that may name a person, longest first, and what the report has in their place."""
    places = {order.work: "WORK", Path(sys.prefix): "VENV", Path.cwd(): "SOURCE", Path.home(): "~"}
    if order.engine:
        places[order.engine] = "ENGINE"
    known = {str(place): word for place, word in places.items() if len(place.parts) > 1}  # never the root itself
    return dict(sorted(known.items(), key=lambda item: -len(item[0])))


def _told(record: StepRecord) -> str:
    return f": {record.error['what']}" if record.error else ""


def _run(step: Step, order: Order, *, timeout_s: float) -> StepRecord:
    """The step in a process of its own, and what it left."""
    (order.work / ORDER_NAME).write_text(order.model_dump_json(), encoding="utf-8")
    place = order.work / f"{step.name.replace(' ', '-')}.json"
    parts = [f"--step={step.action.value}"]
    parts += [f"--arm={step.arm.value}"] if step.arm else []
    parts += [f"--precision={step.precision.value}"] if step.precision else []
    command = [sys.executable, "-m", _PROGRAM, *parts, f"--work={order.work}", f"--findings={place}"]
    return step_record(step.name, run(command, timeout_s=timeout_s), place)


def step_record(name: str, ended: Ended, place: Path) -> StepRecord:
    """What a process and its findings say together; a process that was ended has no error of its own."""
    facts, error = read_findings(place)
    is_passed = ended.exit_code == 0 and not error and not ended.reason
    if not is_passed and (ended.reason or not error):
        why = " / ".join(ended.tail[-3:]) or "it said nothing"
        what = ended.reason or f"it ended with exit code {ended.exit_code}"
        error = {"what": what, "why": why, "fix": "send the report"}
    return StepRecord(
        name=name,
        outcome=Outcome.PASSED if is_passed else Outcome.FAILED,
        error=error,
        facts=facts,
        seconds=ended.seconds,
        peak_resident_mib=ended.peak_resident_mib,
        memory_taken_mib=round(ended.available_before_mib - ended.least_available_mib, 1),
        tail=() if is_passed else ended.tail,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=Path, help="a bundle; without it an untrained network is made")
    parser.add_argument("--output", type=Path, default=Path("device-report"))
    parser.add_argument("--target", help="a target's name or TOML instead of this GPU's own")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each latency run")
    parser.add_argument("--inferences", type=int, default=10_000, help="of the endurance run")
    parser.add_argument("--photographs", type=int, default=64, help="phantoms on which engines are compared")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S, help="of one step, in seconds")
    for hidden in ("--step", "--arm", "--precision"):  # of the process of a step
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    for hidden in ("--work", "--findings"):
        parser.add_argument(hidden, type=Path, help=argparse.SUPPRESS)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs one step when it is told which, else all of them; the exit code."""
    given = _parser().parse_args(arguments)
    if given.step:
        arm, precision = given.arm and Arm(given.arm), given.precision and Precision(given.precision)
        order = Order.model_validate_json((given.work / ORDER_NAME).read_bytes())
        return perform(Step(Action(given.step), arm, precision), order, Findings(given.findings))
    work = Path(tempfile.mkdtemp(prefix="sall-edge-device-check-"))
    try:
        return _check(given, work)
    except SallEdgeError as problem:  # a target that does not exist, a folder that cannot be written
        print(f"error: {problem}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _check(given: argparse.Namespace, work: Path) -> int:
    order = Order(
        work=work,
        engine=given.engine.resolve() if given.engine else None,
        target=load_target(given.target) if given.target else None,
        seconds=given.seconds,
        inferences=given.inferences,
        photographs=given.photographs,
    )
    check = Check(order, given.output, timeout_s=given.timeout)
    check.run()
    failed = [step.name for step in check.record.steps if step.outcome is Outcome.FAILED]
    print(f"{given.output / MARKDOWN_NAME} and {given.output / JSON_NAME}: please send both. {CLOSING}")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
