import multiprocessing
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from sall_edge.errors import TrainingError
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.spec import Head, Labelling, Method, TaskSet
from trainer.comparison import compared
from trainer.progress import Silence
from trainer.study import Entry, Plan, one_disease_each, run_study
from trainer.study_report import draw_comparison, markdown


@pytest.fixture
def split(photographs: Sequence[LabelledPhotograph]) -> list[LabelledPhotograph]:
    """A third of the validation photographs becomes the test split."""
    last = [p for p in photographs if p.split == "val"][-6:]
    return [replace(p, split="test") if p in last else p for p in photographs]


@pytest.fixture
def plan(quick) -> Plan:
    options = replace(quick, epochs=1)
    return Plan(
        entries=(Entry(Method.SALL), Entry(Method.MULTITASK), Entry(Method.SINGLE)),
        seeds=(0, 1),
        options=options,
        labelling=Labelling.ONE_DISEASE,
    )


def test_a_study_trains_every_method_with_every_seed_and_reports_it(split, tasks, plan, tmp_path, diary) -> None:
    test, answers = run_study(split, tasks, plan, tmp_path, report=diary)
    assert sorted(answers) == [
        ("multitask", 0), ("multitask", 1), ("sall", 0), ("sall", 1), ("single", 0), ("single", 1),
    ]  # fmt: skip
    assert len(test.patients) == 6
    assert all(answer.probs["red"].shape == (6, 3) for answer in answers.values())
    # The networks of `single` are the teachers: none is trained twice.
    stages = [name for name, _ in diary.stages]
    assert stages.count("single-red") == 2
    assert not [name for name in stages if name.startswith("teacher")]
    comparison = compared(tasks.tasks, test, answers, rng=np.random.default_rng(0), rounds=20)
    text = markdown(comparison, tasks.tasks)
    assert "| `sall` |" in text
    assert "referable AUC less single" in text
    draw_comparison(comparison, tasks.tasks, tmp_path / "study.png")
    assert (tmp_path / "study.png").read_bytes().startswith(b"\x89PNG")


def test_a_study_goes_on_where_it_was_stopped(split, tasks, plan, tmp_path, diary) -> None:
    class Stopped(Exception):
        pass

    class StopAt(Silence):
        def note(self, text: str) -> None:
            if text == "multitask, seed 0":
                raise Stopped

    with pytest.raises(Stopped):
        run_study(split, tasks, plan, tmp_path, report=StopAt())
    _, answers = run_study(split, tasks, plan, tmp_path, report=diary)
    assert len(answers) == 6
    assert [name for name, _ in diary.stages].count("single-red") == 1  # that of seed 1
    again = run_study(split, tasks, plan, tmp_path, report=Silence())[1]
    for key, answer in answers.items():
        assert np.array_equal(answer.probs["red"], again[key].probs["red"])


def test_teachers_are_trained_but_not_reported_when_nobody_asked_for_single(split, tasks, plan, tmp_path) -> None:
    only = replace(plan, entries=(Entry(Method.DISTILL, Head.ORDINAL),), seeds=(0,))
    _, answers = run_study(split, tasks, only, tmp_path, report=Silence())
    assert list(answers) == [("distill+ordinal", 0)]
    assert (tmp_path / "runs" / "single-0" / "checkpoint-red").is_dir()


def test_one_disease_is_kept_for_each_patient_of_the_training_split(photographs, tasks: TaskSet) -> None:
    thinned = one_disease_each(photographs, tasks)
    assert [p.path for p in thinned] == [p.path for p in photographs]
    kept: dict[str, set[str]] = {}
    for before, after in zip(photographs, thinned, strict=True):
        known = {name for name, grade in after.grades.items() if grade is not None}
        assert all(after.grades[name] == before.grades[name] for name in known)
        is_normal = all(grade in (0, None) for grade in before.grades.values())
        if before.split != "train" or is_normal or None in before.grades.values():
            assert after == before
        else:
            kept.setdefault(before.patient_id, set()).update(known)
    assert all(len(names) == 1 for names in kept.values())
    assert {name for names in kept.values() for name in names} == {"red", "green"}


@pytest.mark.parametrize("change", [{"entries": ()}, {"entries": (Entry(Method.SALL),) * 2}, {"seeds": ()}])
def test_a_plan_without_or_with_double_entries_is_refused(change: dict[str, object], plan: Plan) -> None:
    with pytest.raises(TrainingError, match="each once"):
        replace(plan, **change)


def test_a_study_without_test_photographs_is_refused(photographs, tasks, plan, tmp_path) -> None:
    with pytest.raises(TrainingError, match="nothing to test on"):
        run_study(photographs, tasks, plan, tmp_path, report=Silence())


def test_an_entry_is_named_by_its_method_and_by_its_head_if_it_is_not_the_papers() -> None:
    assert [Entry.named(name).name for name in ("sall", "sall+ordinal", "sall+softmax")] == [
        "sall",
        "sall+ordinal",
        "sall",
    ]
    with pytest.raises(ValueError, match="magic"):
        Entry.named("sall+magic")


@pytest.mark.slow
def test_networks_that_train_side_by_side_are_those_of_one_after_the_other(split, tasks, plan, tmp_path, diary) -> None:
    _, expected = run_study(split, tasks, plan, tmp_path / "one", report=Silence())
    _, answers = run_study(split, tasks, plan, tmp_path / "two", report=diary, at_once=2)
    assert answers.keys() == expected.keys()
    for key, answer in answers.items():
        for name, probs in answer.probs.items():
            assert np.array_equal(probs, expected[key].probs[name])
    assert diary.stages[-1] == ("networks", 6)
    assert any(note.startswith("sall, seed 1: student epoch 1/1") for note in diary.notes)
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_what_stops_one_of_the_networks_stops_them_all_and_says_why(split, tasks, plan, tmp_path) -> None:
    foreign = tmp_path / "runs" / "multitask-0" / "options.json"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("{}", encoding="utf-8")
    with pytest.raises(TrainingError, match="multitask-0 is another run"):
        run_study(split, tasks, plan, tmp_path, report=Silence(), at_once=2)
    assert not multiprocessing.active_children()
