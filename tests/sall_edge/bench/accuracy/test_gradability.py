"""A quality gate against labels: area, shares with intervals, reasons by label."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from sall_edge.bench.accuracy.gradability import (
    Looked,
    look_for_quality,
    measure_gradability,
    measure_head,
    share_of,
)
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.fundus.prepare import prepare
from sall_edge.fundus.quality import QualityLimits
from sall_edge.fundus.quality.measures import measure
from sall_edge.screening.quality_head import QualityHead
from sall_edge.spec import ImageSpec, Role, Task


def _photograph(path: Path, patient: str = "1") -> LabelledPhotograph:
    return LabelledPhotograph(
        path=path, grades={}, patient_id=patient, eye="", split="", source_csv=Path("labels.csv"), extra={}
    )


def _looked(brightness: float, patient: int) -> Looked:
    """A square that shows nothing but its brightness: the brighter, the better its score."""
    return Looked(photograph=_photograph(Path(f"{patient}.jpg"), str(patient)), measures={"brightness": brightness})


@pytest.mark.parametrize(("count", "of"), [(1, 62), (0, 50), (50, 50), (7, 10)])
def test_an_interval_ends_at_the_rates_from_which_the_share_is_two_standard_deviations_away(
    count: int, of: int
) -> None:
    share = share_of(count, of)
    assert (share.count, share.of, share.share) == (count, of, count / of)
    assert 0 <= share.low <= share.share <= share.high <= 1
    for rate in (share.low, share.high):  # Wilson's own definition
        assert (share.share - rate) ** 2 == pytest.approx(1.959964**2 * rate * (1 - rate) / of, abs=1e-9)


def test_of_nothing_a_share_may_be_anything() -> None:
    assert (share_of(0, 0).low, share_of(0, 0).high) == (0, 1)


def test_the_area_counts_how_often_a_good_photograph_has_the_higher_score() -> None:
    looked = [_looked(level, index) for index, level in enumerate((20, 18, 10, 5, 2, 1))]
    labels = ["good", "good", "reject", "good", "reject", "other"]
    report = measure_gradability(looked, labels, "good", QualityLimits(), rng=np.random.default_rng(0), rounds=200)
    assert report.auc == pytest.approx(8 / 9)
    assert report.auc_interval is not None
    assert report.auc_interval[0] < 8 / 9 <= report.auc_interval[1] == 1
    assert report.good_refused.count == report.good_refused.of == 3
    assert {word: share.of for word, share in report.by_label.items()} == {"good": 3, "reject": 2, "other": 1}
    assert report.reasons["reject"] == {"too_dark": 2}


def test_one_kind_of_label_has_no_area() -> None:
    report = measure_gradability([_looked(20, 0)], ["good"], "good", QualityLimits(), rng=np.random.default_rng(0))
    assert report.auc is None
    assert report.auc_interval is None
    assert report.others_refused.of == 0


def test_a_frame_without_a_field_scores_nothing_and_an_unreadable_one_says_why(
    phantom_labels: Path, tmp_path: Path
) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((320, 320, 3), np.uint8))
    good = next((phantom_labels.parent / "images").iterdir())
    photographs = [_photograph(path) for path in (tmp_path / "black.png", tmp_path / "gone.jpg", good)]
    black, gone, retina = look_for_quality(photographs, ImageSpec())
    limits = QualityLimits()
    assert black.score(limits) == 0
    assert black.reasons(limits) == ("no_field_of_view",)
    assert "gone.jpg" in gone.error
    assert retina.error == ""
    assert retina.reasons(limits) == ()
    assert retina.score(limits) >= 0.5


def test_a_head_is_heard_where_the_measures_let_a_photograph_through_and_alone_everywhere() -> None:
    task = Task(name="q", title="Quality", column="q", grades=("good", "reject"), referable_from=1, role=Role.QUALITY)
    head = QualityHead(task=task, operating_point=0.5)
    measures = measure(draw_phantom_square())
    good, bad = (Looked(photograph=_photograph(Path("a.jpg")), measures=measures, head=p) for p in (0.1, 0.9))
    dark = replace(_looked(1, 2), head=0.2)
    no_field = Looked(photograph=_photograph(Path("b.jpg")), measures=None)
    limits = QualityLimits()
    assert [one.reasons(limits, head) for one in (good, bad, dark, no_field)] == [
        (), ("quality_head",), ("too_dark",), ("no_field_of_view",),
    ]  # fmt: skip
    assert [one.reasons_of_head(head) for one in (good, bad, dark, no_field)] == [
        (), ("quality_head",), (), ("no_field_of_view",),
    ]  # fmt: skip
    assert bad.score(limits) > 0.5 > bad.score(limits, head) == bad.score_of_head(head)
    assert dark.score(limits, head) == dark.score(limits) < 0.5 < dark.score_of_head(head)
    everybody, words, rng = [good, bad, dark, no_field], ["good", "bad", "bad", "bad"], np.random.default_rng(0)
    both = measure_gradability(everybody, words, "good", limits, rng=rng, head=head, rounds=10)
    alone = measure_head(everybody, words, "good", head, rng=rng, rounds=10)
    assert (both.others_refused.count, alone.others_refused.count) == (3, 2)
    assert both.auc == alone.auc == 1


def draw_phantom_square() -> npt.NDArray[np.uint8]:
    """Of a phantom that may be graded."""
    phantom = draw_phantom(np.random.default_rng(0), side_px=320, dr_grade=0, amd_grade=0, eye="R")
    return prepare(phantom.pixels, ImageSpec(side_px=320))
