"""The page: every number that was measured, nothing from the network, nothing that a file name can break."""

import re
from pathlib import Path

import numpy as np
import pytest

from sall_edge.bench.accuracy import ReliabilityBin, TaskAccuracy
from sall_edge.bench.latency import Latency, Throughput
from sall_edge.bench.measure import BenchReport, Flip, Reference
from sall_edge.bench.report import Picture, write_evaluation, write_html
from sall_edge.errors import OutputError
from sall_edge.spec import Profile, TaskSet

ACCURACY = TaskAccuracy(
    n=7,
    accuracy=0.625,
    quadratic_weighted_kappa=0.512,
    referable_auc=0.9375,
    sensitivity=0.75,
    specificity=None,
    ece_if_calibrated=(0.03, 0.05),
    ece=0.0425,
    brier=0.5123,
    aurc=0.2031,
    interval={"referable_auc": (0.8125, 0.9875)},
)
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def report() -> BenchReport:
    return BenchReport(
        engine=f"engines/{HOSTILE}",
        engine_sha256="ab" * 32,
        target="openvino-cpu",
        precision="int8",
        profile=Profile.QUICK,
        device={"cpu": "a CPU"},
        versions={"openvino": "2026.1", "numpy": "2.2"},
        latency=Latency(
            scenario="SingleStream", n=70, p50_ms=1.25, p90_ms=2.5, p99_ms=None, inside_timer=("inference",)
        ),
        throughput=Throughput(images_per_s=431.6, batch=8),
        memory={"peak_rss_mb": 123.4},
        photographs=7,
        failures={"photos/broken.jpg": "it is empty"},
        accuracy={"dr": ACCURACY},
        reliability={"dr": (ReliabilityBin(low=0.5, high=0.6, n=7, confidence=0.55, accuracy=0.625),)},
        reference=Reference(accuracy={"dr": ACCURACY}, agreement={"dr": 0.9857, "amd": 1.0}),
        flips=(
            Flip(
                image="photos/lost.jpg",
                task="dr",
                before="referable",
                after="not referable",
                probability_before=0.61,
                probability_after=0.49,
            ),
        ),
    )


@pytest.fixture
def page(report: BenchReport, retina_tasks: TaskSet, tmp_path: Path) -> str:
    picture = Picture(pixels=np.full((20, 30, 3), (200, 100, 50), np.uint8), caption=f"eye {HOSTILE}")
    facts = {"command": "sall-edge bench", "labels": HOSTILE}
    path = tmp_path / "pages" / "index.html"
    write_html(path, [report], retina_tasks.tasks, title="A bench", facts=facts, pictures=[picture])
    return path.read_text(encoding="utf-8")


def test_the_page_holds_what_was_measured(page: str) -> None:
    for shown in ("0.938", "[0.812, 0.988]", "98.57", "1.25", "2.50", "432", "123", "openvino 2026.1", "a CPU"):
        assert shown in page, shown


def test_what_the_labels_or_the_sample_leave_open_has_no_number(page: str) -> None:
    assert "undefined" in page
    assert "too few runs" in page
    assert "None" not in page


def test_a_lost_referral_and_a_photograph_left_out_are_named(page: str) -> None:
    row = page[page.index("photos/lost.jpg") :].split("</tr>")[0]
    assert "referable (0.610)" in row
    assert "not referable (0.490)" in row
    assert "photos/broken.jpg" in page
    assert "it is empty" in page


def test_names_of_files_cannot_bring_code_into_the_page(page: str) -> None:
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 3


def test_the_page_loads_nothing(page: str) -> None:
    assert not re.findall(r"""(?:src|href)=["'](?!data:|\#)[^"']*""", page)
    assert "<link" not in page
    assert "@import" not in page
    assert re.search(r'src="data:image/jpeg;base64,[A-Za-z0-9+/=]{100,}"', page)
    assert "<svg" in page


def test_a_quick_bench_is_marked_as_no_ground_for_claims(page: str) -> None:
    assert "not for claims" in page
    assert "Research use only" in page


def test_a_bench_of_speed_alone_has_no_accuracy(report: BenchReport, retina_tasks: TaskSet, tmp_path: Path) -> None:
    bare = report.model_copy(
        update={"accuracy": {}, "reference": None, "reliability": {}, "flips": (), "failures": {}, "photographs": 0}
    )
    write_html(tmp_path / "index.html", [bare], retina_tasks.tasks, title="Speed", facts={})
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "images/s" in text
    assert "Accuracy" not in text
    assert "<svg" not in text


def test_a_page_that_cannot_be_written_is_said(report: BenchReport, retina_tasks: TaskSet, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        write_html(tmp_path / "file" / "index.html", [report], retina_tasks.tasks, title="A bench", facts={})


def test_an_evaluation_shows_reliability_before_and_after_its_temperature(
    retina_tasks: TaskSet, tmp_path: Path
) -> None:
    grades = np.array([0, 0, 1, 2])
    sharp = np.full((4, 5), 0.025)
    sharp[np.arange(4), grades] = 0.9  # always right, and not sure enough
    path = tmp_path / "index.html"
    for temperatures, diagrams in (({"dr": 2.0}, 3), ({}, 2)):
        write_evaluation(
            path,
            {"dr": ACCURACY},
            {"dr": (grades, sharp)},
            retina_tasks.tasks,
            temperatures=temperatures,
            title=f"An evaluation {HOSTILE}",
            facts={"labels": HOSTILE},
        )
        page = path.read_text(encoding="utf-8")
        assert page.count("<svg") == diagrams
        assert "<script" not in page
        assert "0.938" in page
        assert "Diabetic retinopathy: 7 photographs" in page
        # The logits' difference ln(0.9 / 0.025) doubles: 0.9969 of the probability, an error of 0.003.
        assert ("before the temperature of 2.00: ECE 0.003" in page) == bool(temperatures)
