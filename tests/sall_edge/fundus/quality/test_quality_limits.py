"""Limits are data: read, written, hashed, one file for each camera."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sall_edge.errors import LabelsError
from sall_edge.fundus.quality import QualityLimits, limits_of_cameras, quality_limits_from_toml, sha256_of_limits
from sall_edge.fundus.quality.limits import Limit, toml_of_limits


def _written(path: Path, limits: QualityLimits) -> Path:
    path.write_text(toml_of_limits(limits), encoding="utf-8")
    return path


def test_a_margin_is_0_at_the_limit_and_1_at_what_is_usual() -> None:
    least, most = Limit(at=20, usual=60), Limit(at=0.4, usual=0.2)
    assert [least.margin(value) for value in (20, 40, 60)] == [0, 0.5, 1]
    assert [most.margin(value) for value in (0.4, 0.2)] == pytest.approx([0, 1])
    assert least.margin(10) < 0
    assert most.margin(0.5) < 0


@given(at=st.floats(-1e6, 1e6), usual=st.floats(-1e6, 1e6), camera=st.text())
def test_limits_survive_their_file(
    tmp_path_factory: pytest.TempPathFactory, at: float, usual: float, camera: str
) -> None:
    if at == usual:
        return
    limits = QualityLimits(camera=camera, vessels=Limit(at=at, usual=usual))
    path = _written(tmp_path_factory.mktemp("limits") / "limits.toml", limits)
    assert quality_limits_from_toml(path) == limits
    assert sha256_of_limits(quality_limits_from_toml(path)) == limits.sha256


def test_two_limits_of_one_camera_keep_their_own_digests() -> None:
    first, second = QualityLimits(camera="Z9"), QualityLimits(camera="Z9", vessels=Limit(at=0.01, usual=0.03))
    assert hash(first) == hash(second)  # so the second is found by comparing, not by its hash
    assert [sha256_of_limits(limits) for limits in (first, second)] == [first.sha256, second.sha256]
    assert first.sha256 != second.sha256


def test_what_a_file_does_not_name_has_its_default(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("camera = 'Z9'\n[brightness]\nat = 40\nusual = 80\n", encoding="utf-8")
    limits = quality_limits_from_toml(tmp_path / "a.toml")
    assert limits == QualityLimits(camera="Z9", brightness=Limit(at=40, usual=80))
    assert limits.sha256 != QualityLimits().sha256


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[brightness]\nat = 40\nusual = 40\n", r"breaks a rule\n  why: brightness: .*at and usual are both 40.0"),
        ("[sharpnes]\nat = 1\nusual = 2\n", r"breaks a rule\n  why: sharpnes"),
        ("camera = ", r"is not TOML\n(.|\n)*see docs/quality.md for a complete example"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "limits.toml").write_text(content, encoding="utf-8")
    with pytest.raises(LabelsError, match=message):
        quality_limits_from_toml(tmp_path / "limits.toml")


def test_a_folder_holds_the_limits_of_its_cameras(tmp_path: Path) -> None:
    for name in ("Z9", "left/usb"):
        _written(tmp_path / f"{name[0]}.toml", QualityLimits(camera=name))
    assert set(limits_of_cameras(tmp_path)) == {"Z9", "left/usb"}


def test_two_limits_of_one_camera_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        _written(tmp_path / f"{name}.toml", QualityLimits(camera="Z9"))
    with pytest.raises(LabelsError, match=r"(?s)two limits of the camera 'Z9'.*b.toml.*the name of its own camera"):
        limits_of_cameras(tmp_path)
