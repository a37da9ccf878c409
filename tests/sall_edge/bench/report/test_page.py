"""The page: every number that was measured, and nothing left out in silence."""

import re
from pathlib import Path

import jinja2
import numpy as np
import pytest
from fakes.made_up_report import ABSENT, FACTS, LOST, NO_DIAGRAMS, accuracy, full_report, manifest, write_made_up
from fakes.parsed_page import ParsedPage

from sall_edge.bench.measure import BenchReport
from sall_edge.bench.report.conclusion import conclude
from sall_edge.bench.report.page import SHOWN, EnginePage, bench_page, rendered
from sall_edge.bench.report.pictures import FlippedPhotograph, Picture
from sall_edge.bench.report.write import Benched, write_report
from sall_edge.bench.speed.clinic import Clinic, Runs
from sall_edge.spec import Task, TaskSet


def test_the_page_holds_what_was_measured(page_of_one: str) -> None:
    text = ParsedPage(page_of_one).text
    for shown in (
        "0.938 [0.812, 0.988]",
        "98.57 %",
        "12.25",
        "13.50",
        "16.75",
        "432",
        "123",
        "2026.1",
        "a made-up CPU",
    ):
        assert shown in text, shown
    assert "timer holds LoadGen's call, copy in, inference, copy out" in text
    assert "seeds 11, 12, 13: valid; 48000 queries" in text
    assert "min_query_count=64" in text


def test_the_verdict_comes_first_and_says_who_lost_a_referral(page_of_one: str) -> None:
    text = ParsedPage(page_of_one).text
    assert text.index("1 photograph lost a referral against FP32 among 700 (photos/lost.jpg)") < text.index(
        "The engine"
    )
    assert "speed: may be quoted" in text


def test_every_reason_against_quoting_stands_in_the_verdict(page_of_three: str) -> None:
    verdict = page_of_three[page_of_three.index('id="verdict"') : page_of_three.index('id="engines"')]
    assert "<li>it was short</li>" in verdict
    assert "<li>it was hot</li>" in verdict
    assert verdict.count("speed: not for claims") == 1
    assert verdict.count("speed: may be quoted") == 2


def test_stages_stand_beside_their_floors(page_of_one: str) -> None:
    assert "1.23 × floor" in page_of_one
    assert "bare decode at the same scale" in page_of_one
    row = page_of_one[page_of_one.index('<th scope="row">total</th>') :].split("</tr>")[0]
    assert "39.20" in row
    assert "32.00" in row
    assert "1.23" in row


def test_monitors_say_what_they_know_and_what_they_do_not(page_of_one: str, page_of_three: str) -> None:
    assert "Told by RAPL, sysfs: 120 readings" in page_of_one
    assert "177.5 mJ per photograph" in page_of_one
    assert "GPU clock: there is no GPU here" in page_of_one
    assert "Nothing watched temperature, clock or power" in page_of_three


def test_throttling_is_said(full_bench: BenchReport, tasks: tuple[Task, ...], tmp_path: Path) -> None:
    assert full_bench.monitored is not None
    hot = full_bench.monitored.model_copy(update={"readings": (), "throttled": ("the clock fell 14 times",)})
    said = {**NO_DIAGRAMS, "monitored": hot, "not_for_claims": hot.throttled}
    text = ParsedPage(write_made_up(tmp_path / "hot.html", tasks, full_bench.model_copy(update=said))).text
    assert text.count("the clock fell 14 times") == 2  # in the verdict, and beside the monitors
    assert "No throttling was seen" not in text


def test_accuracy_has_its_confusion_and_its_groups(page_of_one: str, tasks: tuple[Task, ...]) -> None:
    assert page_of_one.count('<table class="confusion">') == 2 * len(tasks)
    assert "FP32 graph: labels down, grades across" in page_of_one
    text = ParsedPage(page_of_one).text
    assert "700 of 720 photographs may be graded, 95 % interval 96.0 to 98.3 %" in text
    assert "too dark 14 blurred 9 unreadable 1" in text
    assert text.index("odir/labels.csv") < text.index("(empty)")


def test_a_lost_referral_and_a_photograph_left_out_are_named(page_of_one: str) -> None:
    row = page_of_one[page_of_one.index(f"<code>{LOST}</code>") :].split("</tr>")[0]
    assert "<td>lost</td>" in row
    assert "referable (0.610)" in row
    assert "not referable (0.490)" in row
    assert "photos/broken.jpg" in page_of_one
    assert "it is empty" in page_of_one


def test_flips_have_pictures_and_what_is_left_out_is_counted(page_of_three: str) -> None:
    text = ParsedPage(page_of_three).text
    assert "Lost referral, Diabetic retinopathy : photos/000.jpg" in text
    assert "And 20 more; three.json names all" in text
    assert "And 68 more without pictures" in text


def test_a_photograph_that_vanished_has_a_reason_instead_of_pictures(
    full_bench: BenchReport, tasks: tuple[Task, ...], tmp_path: Path
) -> None:
    gone = FlippedPhotograph(flip=full_bench.flips[0], problem="photos/lost.jpg is missing")
    benched = [Benched(report=full_bench.model_copy(update=NO_DIAGRAMS), manifest=manifest(tasks), flipped=(gone,))]
    write_report(tmp_path / "gone.html", benched, title="A bench", facts={})
    assert "No picture: photos/lost.jpg is missing" in (tmp_path / "gone.html").read_text(encoding="utf-8")


def test_the_manifest_and_the_run_are_told_in_full(page_of_one: str) -> None:
    text = ParsedPage(page_of_one).text
    for shown in (
        "ab" * 32,
        "cd" * 32,
        "ef" * 32,
        "0.184",
        "320 px square",
        "49 of 53 convolutions INT8",
        *FACTS.values(),
    ):
        assert shown in text, shown
    assert "avx2, avx512_vnni" in text


def test_what_is_open_has_no_number(full_bench: BenchReport, tasks: tuple[Task, ...], tmp_path: Path) -> None:
    open_ended = full_bench.model_copy(
        update={
            **NO_DIAGRAMS,
            "accuracy": {"dr": accuracy(sensitivity=None)},
            "latency": full_bench.latency.model_copy(update={"p90_ms": None, "p99_ms": None, "loadgen": None}),
        }
    )
    text = ParsedPage(write_made_up(tmp_path / "open.html", tasks, open_ended)).text
    assert "undefined" in text
    assert "too few runs" in text
    assert "no labels" in text
    assert "None" not in text


def test_a_bench_of_speed_alone_has_no_accuracy(
    full_bench: BenchReport, tasks: tuple[Task, ...], tmp_path: Path
) -> None:
    text = write_made_up(tmp_path / "speed.html", tasks, full_bench.model_copy(update=ABSENT))
    assert "images/s" in text
    assert "no referral was compared with FP32" in text
    for left_out in ("Accuracy", "Imageability", "Sensitivity", "<svg", "None"):
        assert left_out not in text, left_out


def test_several_engines_stand_side_by_side(page_of_three: str, tasks: tuple[Task, ...]) -> None:
    table = page_of_three[page_of_three.index('id="engines"') : page_of_three.index('id="engine-1"')]
    row = re.search(r">Lost referrals against FP32</th>(.*?)</tr>", table)
    assert row is not None
    assert re.findall(r">([^<]+)</td>", row[1]) == ["1", "5", "not compared"]
    assert table.count("Referable AUC") == len(tasks)
    assert [name for name in ("quick", "bare") if f'scope="col" class="number">{name}</th>' in table] == [
        "quick",
        "bare",
    ]


def test_a_variable_that_nobody_set_is_an_error_and_no_gap() -> None:
    with pytest.raises(jinja2.UndefinedError, match="'title' is undefined"):
        rendered("report.html")


def test_a_field_that_the_page_has_no_place_for_is_listed(retina_tasks: TaskSet) -> None:
    class Later(BenchReport):
        pauses: dict[str, object]

    made_up = full_report(retina_tasks.tasks, **ABSENT).model_dump()
    report = Later(**made_up, pauses={"pauses_s": list(range(15)), "after_a_pause": {"p50_ms": 71.5, "p99_ms": None}})
    conclusion = conclude(report, retina_tasks.tasks, name="int8")
    engine = EnginePage(report=report, manifest=manifest(retina_tasks.tasks), conclusion=conclusion, flipped=())
    text = ParsedPage(bench_page([engine], title="A bench", facts={}, pictures=[], json_name="bench.json")).text
    assert "Pauses" in text
    assert "after_a_pause p50_ms: 71.5; p99_ms: not known" in text
    assert "10, 11 and 3 more" in text
    assert set(BenchReport.model_fields) >= SHOWN


CLINIC = Clinic(
    photographs=2,
    after_gap=Runs(
        name="after a gap", n=2, p50_ms=50, p90_ms=None, largest_ms=60, parts_ms={"decode": 20.0, "infer": 8.0}
    ),
    back_to_back=Runs(name="back to back", n=8, p50_ms=40, p90_ms=None, largest_ms=45, parts_ms={"decode": 18.0}),
    ratio=1.25,
    gaps_s=(31.0, 119.0),
    page_cache="the kernel was asked",
    ended_early=True,
)


def test_what_measurements_may_say_beside_their_numbers_is_said(
    full_bench: BenchReport, tasks: tuple[Task, ...], tmp_path: Path
) -> None:
    assert full_bench.stages is not None
    assert full_bench.monitored is not None
    report = full_bench.model_copy(
        update={
            **NO_DIAGRAMS,
            "latency": full_bench.latency.model_copy(update={"loadgen_overhead_ms": 0.013}),
            "throughput": full_bench.throughput.model_copy(update={"inside_timer": ("gathering a batch", "inference")}),
            "stages": full_bench.stages.model_copy(update={"left_out": 3}),
            "clinic": CLINIC,
            "monitored": full_bench.monitored.model_copy(update={"power_of": "CPU package"}),
            "groups": tuple(group.model_copy(update={"flips": {"dr": 17}}) for group in full_bench.groups[:1]),
        }
    )
    text = ParsedPage(write_made_up(tmp_path / "more.html", tasks, report)).text
    assert "LoadGen itself takes 0.013 ms of a query." in text
    assert "the timer holds gathering a batch, inference" in text
    assert "3 more were tried and had no verdict" in text
    assert "Power is that of: CPU package." in text
    assert "photographs with gaps of 31 to 119 s" in text
    assert "takes 1.25 times as long as back to back. The run ended early. The kernel was asked." in text
    assert "after a gap 2 50.00 too few runs 60.00 decode 20.0, infer 8.0" in text
    assert "changed referrals" in text
    assert "0.875 [0.840, 0.910] 17" in text


def test_pixels_that_are_no_picture_are_refused(retina_tasks: TaskSet) -> None:
    report = full_report(retina_tasks.tasks, distribution_ms=(), over_time=(), monitored=None, stages=None, roc={})
    conclusion = conclude(report, retina_tasks.tasks, name="int8")
    engine = EnginePage(report=report, manifest=manifest(retina_tasks.tasks), conclusion=conclusion, flipped=())
    flat = Picture(pixels=np.zeros((0, 0, 3), np.uint8), caption="nothing")
    with pytest.raises(ValueError, match="cannot encode a picture"):
        bench_page([engine], title="A bench", facts={}, pictures=[flat], json_name="bench.json")
