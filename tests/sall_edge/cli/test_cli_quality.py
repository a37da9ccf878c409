"""`sall-edge quality`: measures and reasons of photographs, limits of a camera."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from sall_edge.artifacts import Engine
from sall_edge.fundus.quality import QualityLimits, quality_limits_from_toml
from sall_edge.fundus.quality.limits import Limit, toml_of_limits

Run = Callable[..., Any]  # the fixture of tests/conftest.py


@pytest.fixture(scope="module")
def labels(phantom_labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 phantoms that are good, and 12 of them blurred to about where the default limits still pass them."""
    folder = tmp_path_factory.mktemp("quality")
    rows = []
    for index, path in enumerate(sorted((phantom_labels.parent / "images").iterdir())[:32]):
        pixels = cv2.imread(str(path))
        cv2.imwrite(str(folder / path.name), pixels)
        rows.append((path.name, "good", index))
        if index < 12:
            cv2.imwrite(str(folder / f"blurred-{path.name}"), cv2.GaussianBlur(pixels, (0, 0), 2.6))
            rows.append((f"blurred-{path.name}", "reject", 100 + index))
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "quality", "patient_id", "split"))
        writer.writerows((*row, "train") for row in rows)
    return folder / "labels.csv"


def test_check_prints_score_reasons_and_measures(sall_edge: Run, labels: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((320, 320, 3), np.uint8))
    photograph = next(labels.parent.glob("[!b]*.jpg"))
    done = sall_edge("quality", "check", photograph, tmp_path / "black.png")
    assert done.code == 0, done.err
    assert f"{QualityLimits().sha256}" in done.out
    assert f"{photograph}" in done.out
    assert "gradable" in done.out
    assert "vessels" in done.out
    assert f"RETAKE    0.00  {tmp_path / 'black.png'}  no field of view" in done.out


def test_check_with_labels_says_how_well_good_and_bad_are_told_apart(sall_edge: Run, labels: Path) -> None:
    done = sall_edge("quality", "check", "--labels", labels, "--json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert len(answer["photographs"]) == 44
    assert {"photo", "gradable", "score", "reasons", "measures"} == set(answer["photographs"][0])
    assert answer["camera"] == "any"
    assert answer["labelled"]["auc"] > 0.9
    assert answer["labelled"]["good_refused"]["of"] == 32
    assert "AUC of the score" in sall_edge("quality", "check", "--labels", labels).out


def test_check_needs_something_to_look_at(sall_edge: Run) -> None:
    done = sall_edge("quality", "check")
    assert done.code == 2
    assert "name photographs, or give --labels" in done.err


def test_an_unreadable_photograph_is_said_and_the_others_come(sall_edge: Run, labels: Path, tmp_path: Path) -> None:
    photograph = next(labels.parent.glob("*.jpg"))
    done = sall_edge("quality", "check", tmp_path / "gone.jpg", photograph, "--json")
    assert done.code == 1
    gone, good = json.loads(done.out)["photographs"]
    assert "gone.jpg" in gone["error"]
    assert good["score"] > 0


def test_fit_writes_limits_that_stop_more_of_the_bad_ones(sall_edge: Run, labels: Path, tmp_path: Path) -> None:
    target = tmp_path / "limits" / "z9.toml"
    done = sall_edge(
        "quality", "fit", "--labels", labels, "--camera", "Z9", "--most-refused", 0.04, "-o", target, "--json"
    )
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    limits = quality_limits_from_toml(target)
    assert answer["limits_sha256"] == limits.sha256
    assert limits.camera == "Z9"
    assert answer["after"]["others_refused"]["count"] > answer["before"]["others_refused"]["count"]
    assert answer["after"]["good_refused"]["count"] <= 1
    assert len(answer["good_refused"]) == answer["after"]["good_refused"]["count"]
    assert set(answer["changed"]) <= set(QualityLimits.model_fields)


def test_fit_shows_the_good_photographs_that_it_would_refuse(sall_edge: Run, labels: Path, tmp_path: Path) -> None:
    options = ("--labels", labels, "--camera", "Z9", "-o", tmp_path / "z9.toml", "--most-refused", 0)
    (tmp_path / "strict.toml").write_text(toml_of_limits(QualityLimits(sharpness=Limit(at=0.1, usual=0.2))))
    text = sall_edge("quality", "fit", *options, "--limits", tmp_path / "strict.toml").out
    assert "changed limits" in text
    assert "after, on the same photographs" in text
    assert "good photographs that would be refused: 0" in text
    assert f"{tmp_path / 'z9.toml'}: limits of Z9" in text


def test_fit_refuses_a_split_without_photographs(sall_edge: Run, labels: Path, tmp_path: Path) -> None:
    done = sall_edge(
        "quality", "fit", "--labels", labels, "--camera", "Z9", "--split", "val", "-o", tmp_path / "z9.toml"
    )
    assert done.code == 1
    assert "0 good and 0 other photographs" in done.err
    assert not (tmp_path / "z9.toml").exists()


def test_screen_judges_by_the_limits_of_a_camera(
    sall_edge: Run, tiny_engine: Engine, labels: Path, tmp_path: Path
) -> None:
    strict = QualityLimits(camera="Z9", brightness=Limit(at=240, usual=250))
    (tmp_path / "z9.toml").write_text(toml_of_limits(strict))
    photograph = next(labels.parent.glob("[!b]*.jpg"))
    done = sall_edge("screen", tiny_engine.path, photograph, "--quality", tmp_path / "z9.toml", "--json")
    (verdict,) = json.loads(done.out)
    assert verdict["reasons"] == ["too_dark"]
    assert verdict["quality_limits_sha256"] == strict.sha256
    assert verdict["quality_score"] < 0.5


def test_check_with_an_engine_judges_as_screen_does_and_tells_its_quality_task_apart(
    sall_edge: Run, judging_engine: Callable[[float], Engine], labels: Path
) -> None:
    photographs = sorted(labels.parent.glob("*.jpg"))
    everything = json.loads(
        sall_edge("quality", "check", *photographs, "--engine", judging_engine(0).path, "--json").out
    )
    probabilities = [row["measures"]["quality_head"] for row in everything["photographs"]]
    engine = judging_engine(float(np.median(probabilities)))
    done = sall_edge("quality", "check", "--labels", labels, "--engine", engine.path, "--json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    screened = json.loads(
        sall_edge("screen", engine.path, *(row["photo"] for row in answer["photographs"]), "--json").out
    )
    assert [(row["score"], row["reasons"]) for row in answer["photographs"]] == [
        (one["quality_score"], one["reasons"]) for one in screened
    ]
    assert {"quality_head"} < {reason for one in screened for reason in one["reasons"]}.union({""})
    assert answer["engine"]["sha256"] == engine.sha256
    assert answer["engine"]["operating_point"] == engine.manifest.operating_points["dr"]
    refused = {name: _refused(answer["engine"][name]) for name in ("by_measures", "by_head")}
    assert max(refused.values()) <= _refused(answer["labelled"]) <= sum(refused.values())
    assert 20 <= refused["by_head"] <= 24  # of 44, from their median on
    text = sall_edge("quality", "check", "--labels", labels, "--engine", engine.path).out
    for line in ("measures alone", "quality head alone", "both, as in screen"):
        assert line in text.splitlines()


def _refused(report: dict[str, Any]) -> int:
    return int(report["good_refused"]["count"]) + int(report["others_refused"]["count"])


def test_check_refuses_an_engine_that_was_not_trained_to_judge(
    sall_edge: Run, tiny_engine: Engine, labels: Path
) -> None:
    done = sall_edge("quality", "check", "--labels", labels, "--engine", tiny_engine.path)
    assert done.code == 1
    assert "has no opinion of quality" in done.err
    assert "it grades dr, amd" in done.err
    assert "docs/quality.md" in done.err
