"""Diagrams: what they show stands in words too, and they fit into a page with others."""

import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from fakes.made_up_report import accuracy, full_report
from matplotlib.figure import Figure

from sall_edge.bench.accuracy.columns import Group
from sall_edge.bench.accuracy.reliability import RiskCoverage
from sall_edge.bench.measure import BenchReport
from sall_edge.bench.report import plots
from sall_edge.spec import TaskSet


@pytest.fixture(scope="module")
def report(retina_tasks: TaskSet) -> BenchReport:
    return full_report(retina_tasks.tasks)


def _words(drawn: str) -> str:
    return " ".join(" ".join(ElementTree.fromstring(drawn).itertext()).split())


def _description(drawn: str) -> str:
    (found,) = re.findall(r"<desc>(.*?)</desc>", drawn)
    return str(found)


def test_an_svg_needs_nothing_and_shares_no_name(report: BenchReport) -> None:
    one, other = (plots.draw_distribution(report.distribution_ms, report.latency) for _ in range(2))
    names = re.findall(r' id="([^"]*)"', one)
    assert names
    assert not set(names) & set(re.findall(r' id="([^"]*)"', other))
    assert set(re.findall(r'(?:url\(|href=")#([\w.-]+)', one)) == set(names)
    for foreign in ("http", "xlink", "<metadata", "<style", "<?xml"):
        assert foreign not in one, foreign


def test_text_stays_text_and_markup_is_escaped() -> None:
    figure = Figure(figsize=(2, 1))
    figure.subplots().set_xlabel("a < b")
    drawn = plots.svg(figure, "less <than>", "a & b")
    assert "a &lt; b</text>" in drawn
    assert "<title>less &lt;than&gt;</title><desc>a &amp; b</desc>" in drawn
    assert _words(drawn).startswith("less <than> a & b")


def test_a_distribution_marks_only_the_percentiles_that_are_known(report: BenchReport) -> None:
    few = report.latency.model_copy(update={"p99_ms": None})
    drawn = plots.draw_distribution(report.distribution_ms, few)
    assert "p90 13.50 ms" in _words(drawn)
    assert "p99" not in drawn
    assert _description(drawn).endswith("p50 12.25 ms, p90 13.50 ms.")


def test_a_long_tail_gets_a_logarithmic_axis(report: BenchReport) -> None:
    assert "logarithmic" not in plots.draw_distribution(report.distribution_ms, report.latency)
    assert "latency, ms (logarithmic)" in plots.draw_distribution((*report.distribution_ms, 900.0), report.latency)


def test_a_single_query_can_be_drawn(report: BenchReport) -> None:
    one = report.latency.model_copy(update={"n": 1, "p50_ms": 5.0, "p90_ms": None, "p99_ms": None})
    assert _description(plots.draw_distribution((5.0,), one)) == "From 5.00 to 5.00 ms; p50 5.00 ms."


def test_only_what_sensors_told_is_drawn_over_time(report: BenchReport) -> None:
    assert report.monitored is not None
    cool = [reading.model_copy(update={"temperature_c": None}) for reading in report.monitored.readings]
    drawn = plots.draw_over_time(report.over_time, cool)
    assert "temperature" not in drawn
    assert "clock, MHz" in drawn
    assert _description(drawn).startswith("latency p50 11.70 to 12.30 ms; clock, MHz 3061.0 to 3100.0")
    assert "latency" not in plots.draw_over_time((), cool)


def test_stages_show_their_ratio_to_the_floor(report: BenchReport) -> None:
    assert report.stages is not None
    drawn = plots.draw_stages(report.stages)
    assert "39.20 ms, 1.23 × floor" in _words(drawn)
    assert _words(drawn).count("floor, p50") == 1
    assert _description(drawn) == "Times its floor: decode 1.04, infer 1.03, total 1.23."
    parts = plots.draw_stage_parts(report.stages)
    assert _description(parts).startswith("Means per photograph: decode 21.63 ms, field 1.96 ms, cut 2.47 ms")
    assert "p50 32.0 ms" in _words(parts)


def test_stages_without_floors_can_be_drawn(report: BenchReport) -> None:
    assert report.stages is not None
    bare = {"floor": "", "floor_p50_ms": None, "over_floor": None}
    stages = report.stages.model_copy(
        update={
            "stages": tuple(stage.model_copy(update=bare) for stage in report.stages.stages),
            "total": report.stages.total.model_copy(update=bare),
            "per_photograph_ms": {"infer": 12.0, "decode": 21.0, "between": 1.0, "total": 34.0},
        }
    )
    assert "no floor measured" in _description(plots.draw_stages(stages))
    assert _description(plots.draw_stage_parts(stages)) == (
        "Means per photograph: decode 21.00 ms, infer 12.00 ms, between 1.00 ms."
    )


def test_a_roc_says_where_the_operating_points_lie(report: BenchReport) -> None:
    curves = {"INT8 engine": report.roc["dr"]}
    assert report.reference is not None
    alone = plots.draw_roc(curves, "DR")
    both = plots.draw_roc({**curves, "FP32 graph": report.reference.roc["dr"]}, "DR")
    assert "INT8 engine: sensitivity 0.595 at a false positive rate of 0.125" in _description(alone)
    assert "FP32" not in alone
    assert "FP32 graph: sensitivity 0.642" in _description(both)


def test_groups_are_drawn_with_what_is_defined(report: BenchReport) -> None:
    undefined = Group(
        column="eye",
        value="L",
        imageability=report.groups[0].imageability,
        accuracy={"dr": accuracy(sensitivity=None)},
    )
    right, empty = (group for group in report.groups if group.value in ("R", ""))
    said = _description(plots.draw_groups([right, undefined, empty], {"dr": "DR", "amd": "AMD"}))
    assert "R, DR, sensitivity 0.912" in said
    assert "R, AMD, specificity 0.875" in said
    assert "L, DR, specificity 0.875" in said
    assert "L, DR, sensitivity" not in said
    assert "empty" not in said


def test_long_names_of_groups_keep_their_end(report: BenchReport) -> None:
    long = [group.model_copy(update={"value": f"a very long folder/{group.value}"}) for group in report.groups[:2]]
    assert "…" in plots.draw_groups(long, {"dr": "DR"})
    assert "other/labels.csv" in plots.draw_groups(long, {"dr": "DR"})


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda r: plots.draw_reliability(r.reliability["dr"], "DR"), "0.35 sure, 0.32 right, 120 photographs"),
        (lambda r: plots.draw_risk(RiskCoverage(coverage=(0.5, 1.0), risk=(0.0, 0.25), area=0.1)), "Area 0.100; 0.250"),
    ],
)
def test_reliability_and_risk_are_told(report: BenchReport, draw: Callable[[BenchReport], str], said: str) -> None:
    assert said in _description(draw(report))
