"""The text of a bench: groups and engines in columns, nothing that the labels leave open, every caution said."""

from dataclasses import replace

import numpy as np
from fakes.benched import TASK, answers, benched

from sall_edge.artifacts import Engine
from sall_edge.bench.accuracy.columns import Group, Imageability
from sall_edge.bench.accuracy.grading import Flip
from sall_edge.bench.accuracy.metrics import measure_task
from sall_edge.bench.accuracy.side_by_side import Reference
from sall_edge.cli.bench_text import accuracy_lines, aligned, group_lines, imageability_lines, side_by_side
from sall_edge.spec import ImageSpec, Role

SEEN = Imageability(n=10, gradable=9, share=0.9, interval=(0.7, 1.0), reasons={"too_dark": 1})
ACCURACY = measure_task(
    TASK, np.array([0, 1]), np.eye(3)[[0, 1]], 0.5, ["a", "b"], rng=np.random.default_rng(0), rounds=2
)
FLIP = Flip(
    image="a.jpg",
    task="dr",
    before="referable",
    after="not referable",
    probability_before=0.6,
    probability_after=0.4,
)


def test_who_could_not_be_graded_is_counted_with_the_reason() -> None:
    text = "\n".join(imageability_lines(SEEN))
    assert "gradable 9 of 10 photographs: 90.0 %  [70.0, 100.0]" in text
    assert "evaluate grades all that can be prepared" in text
    assert "too_dark 1" in text


def test_which_photographs_a_quality_task_is_measured_on_is_said() -> None:
    reference = Reference(accuracy={}, agreement={"dr": 1.0})
    report = benched(of=answers(0, count=4)).model_copy(
        update={"photographs": 3, "accuracy": {"dr": ACCURACY}, "reference": reference}
    )
    sentence = "DR is of the 4 photographs that the engine was asked about, all else of the 3 that it then graded"
    assert sentence not in accuracy_lines(report)
    judging = (TASK.model_copy(update={"role": Role.QUALITY}),)
    assert sentence in accuracy_lines(report.model_copy(update={"tasks": judging}))


def test_every_group_has_a_line_also_one_without_labels() -> None:
    groups = (
        Group(column="eye", value="L", imageability=SEEN, accuracy={"dr": ACCURACY}, flips={"dr": 3}),
        Group(column="eye", value="", imageability=SEEN, accuracy={}, flips={"dr": 0}),
        Group(column="camera", value="x" * 50, imageability=SEEN, accuracy={}, flips={"dr": 2}),
    )
    lines = group_lines(benched().model_copy(update={"groups": groups}))
    assert lines[0].split() == ["by", "eye", "gradable", "task", "n", "AUC", "sensitivity", "specificity", "flips"]
    assert lines[1].split()[:5] == ["L", "9/10", "dr", "2", "1.000"]
    assert lines[1].endswith("3")
    assert lines[2].split() == ["(empty)", "9/10"]
    assert lines[4].split() == ["..." + "x" * 40, "9/10", "dr", "0", "undefined", "undefined", "undefined", "2"]


def test_engines_stand_in_columns_and_what_one_lacks_is_empty(tiny_engine: Engine) -> None:
    reference = Reference(accuracy={"dr": ACCURACY}, agreement={"dr": 0.75})
    first = benched(of=answers(0)).model_copy(
        update={"accuracy": {"dr": ACCURACY}, "reference": reference, "flips": (FLIP,), "imageability": SEEN}
    )
    second = benched().model_copy(update={"engine": "engines/other", "tasks": ()})
    smaller = tiny_engine.manifest.model_copy(
        update={"image": ImageSpec(side_px=32), "tasks": (TASK,), "files": {"model.onnx": "another"}}
    )
    other = replace(tiny_engine, path=tiny_engine.path.with_name("other"), manifest=smaller)
    text = side_by_side([first, second], [tiny_engine, other])
    rows = {line[:32].strip(): line[32:].split() for line in text.splitlines()}
    assert text.splitlines()[0].split() == ["engine", "other"]
    assert rows["latency p99, ms"] == ["too", "few", "runs", "too", "few", "runs"]
    assert rows["dr AUC"] == ["1.000"]
    assert rows["dr same grade as FP32, %"] == ["75.00"]
    assert rows["dr referrals lost against FP32"] == ["1"]
    assert rows["dr referrals new against FP32"] == ["0"]
    assert "other squares (64 px, 32 px)" in text
    assert "the engines have other tasks" in text
    assert "different FP32 graphs" in text


def test_twins_have_no_caution_but_the_one_of_turns(tiny_engine: Engine) -> None:
    text = side_by_side([benched(0), benched(1)], [tiny_engine, tiny_engine])
    assert text.splitlines()[0].split() == ["engines/int8", "engines/int8"]
    assert text.splitlines()[-1] == "the engines were timed one after the other in one process"
    assert "other squares" not in text
    assert "AUC" not in text


def test_cells_stand_below_each_other() -> None:
    assert aligned([["a", "bb", "c"], ["aaa", "b", ""]]) == ["a    bb  c", "aaa  b"]
