"""`sall-edge screen` end to end: good photographs, and every bad one that a clinic produces."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fakes.familiar_bundle import ALL_FAMILIAR, NONE_FAMILIAR, with_reference
from fakes.older_bundle import older
from PIL import Image

from sall_edge.artifacts import Engine
from sall_edge.fundus.phantom import draw_outer_eye, draw_phantom

Run = Callable[..., Any]  # the fixture of tests/conftest.py


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """An upright RGB phantom."""
    return draw_phantom(np.random.default_rng(3), side_px=320, dr_grade=2, amd_grade=0, eye="R").pixels


def _write(path: Path, rgb: np.ndarray) -> Path:
    Image.fromarray(rgb).save(path, quality=92)
    return path


def _json(finished: Any) -> list[dict[str, Any]]:
    return json.loads(finished.out)


def test_a_photograph_gets_a_complete_json_verdict(
    sall_edge: Run, tiny_engine: Engine, tmp_path: Path, pixels: np.ndarray
) -> None:
    done = sall_edge("screen", tiny_engine.path, _write(tmp_path / "a.jpg", pixels), "--json")
    assert done.code == 0, done.err
    (verdict,) = _json(done)
    assert verdict["gradable"] is True
    assert verdict["verdict"] in {"refer", "no_referral"}
    assert verdict["engine_sha256"] == tiny_engine.sha256
    assert verdict["image_spec_sha256"] == tiny_engine.manifest.image.sha256
    assert set(verdict["ms"]) == {"decode", "prepare", "infer", "total"}
    assert set(verdict["tasks"]) == {"dr", "amd"}
    for task in tiny_engine.manifest.tasks:
        result = verdict["tasks"][task.name]
        assert sum(result["probs"]) == pytest.approx(1, abs=1e-5)
        assert result["grade"] == int(np.argmax(result["probs"]))
        called = sum(result["probs"][task.referable_from :]) >= tiny_engine.manifest.operating_points[task.name]
        assert result["referable"] is called


def test_a_folder_is_walked_in_order(sall_edge: Run, tiny_engine: Engine, phantom_labels: Path) -> None:
    done = sall_edge("screen", tiny_engine.path, phantom_labels.parent, "--json")
    names = [Path(verdict["photo"]).name for verdict in _json(done)]
    assert names == sorted(p.name for p in (phantom_labels.parent / "images").iterdir())


def test_an_unfamiliar_retina_is_not_called_no_referral(
    sall_edge: Run, tiny_engine: Engine, tmp_path: Path, pixels: np.ndarray
) -> None:
    photograph, sentence = _write(tmp_path / "a.jpg", pixels), "; unlike the training photographs: a person has to look"
    for name, point, limit, verdict, line in (
        ("far", 1.1, NONE_FAMILIAR, "human_grading", "LOOK AT IT   "),
        ("far-referred", 0.0, NONE_FAMILIAR, "refer", "REFER        "),
        ("near", 1.1, ALL_FAMILIAR, "no_referral", "no referral  "),
    ):
        points = {"operating_points": {"dr": point, "amd": point}}
        engine = with_reference(older(tiny_engine, tmp_path / f"{name}-old", **points), tmp_path / name, limit=limit)
        (result,) = _json(sall_edge("screen", engine.path, photograph, "--json"))
        assert result["verdict"] == verdict
        assert result["familiarity"]["limit"] == limit
        assert (result["familiarity"]["distance"] > limit) is (limit == NONE_FAMILIAR)
        text = sall_edge("screen", engine.path, photograph).out
        assert text.startswith(line)
        assert text.endswith(f"{sentence}\n") is (limit == NONE_FAMILIAR)


def test_an_engine_without_a_reference_says_nothing_of_familiarity(
    sall_edge: Run, tiny_engine: Engine, tmp_path: Path, pixels: np.ndarray
) -> None:
    (result,) = _json(sall_edge("screen", tiny_engine.path, _write(tmp_path / "a.jpg", pixels), "--json"))
    assert "familiarity" not in result


def test_heat_maps_are_written_for_graded_photographs(
    sall_edge: Run, tiny_engine: Engine, tmp_path: Path, pixels: np.ndarray
) -> None:
    photographs = [_write(tmp_path / "a.jpg", pixels), _write(tmp_path / "dark.png", np.zeros((300, 300, 3), np.uint8))]
    done = sall_edge("screen", tiny_engine.path, *photographs, "--heatmap", tmp_path / "maps")
    assert done.code == 0, done.err
    (picture,) = (tmp_path / "maps").iterdir()
    assert picture.name.startswith("a-")
    height, width, _ = cv2.imread(str(picture)).shape
    assert width == 3 * 448  # the photograph and one panel per task
    assert height > 448


def _sixteen_bit(rgb: np.ndarray, path: Path) -> None:
    cv2.imwrite(str(path), rgb[..., ::-1].astype(np.uint16) * 257)


READABLE = {
    "sixteen.png": _sixteen_bit,
    "cmyk.jpg": lambda rgb, path: Image.fromarray(rgb).convert("CMYK").save(path),
    "rgba.png": lambda rgb, path: Image.fromarray(rgb).convert("RGBA").save(path),
    "plain.tif": lambda rgb, path: Image.fromarray(rgb).save(path),
    "name with späces.JPG": lambda rgb, path: Image.fromarray(rgb).save(path),
}


@pytest.mark.parametrize("name", READABLE)
def test_every_usual_encoding_is_graded(
    name: str, sall_edge: Run, tiny_engine: Engine, tmp_path: Path, pixels: np.ndarray
) -> None:
    READABLE[name](pixels, tmp_path / name)
    (verdict,) = _json(sall_edge("screen", tiny_engine.path, tmp_path / name, "--json"))
    assert verdict["gradable"] is True, verdict


def _truncated(path: Path, rgb: np.ndarray) -> None:
    _write(path, rgb)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _huge_header(path: Path, rgb: np.ndarray) -> None:
    _write(path, rgb)
    data = bytearray(path.read_bytes())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    path.write_bytes(bytes(data))


UNREADABLE = {
    "truncated.jpg": _truncated,
    "empty.jpg": lambda path, _: path.write_bytes(b""),
    "huge.jpg": _huge_header,
    "one.png": lambda path, _: _write(path, np.full((1, 1, 3), 90, np.uint8)),
    "text.jpg": lambda path, _: path.write_text("<html>not found</html>"),
    "missing.jpg": lambda path, _: None,
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_photograph_says_why_and_the_others_still_come(
    name: str, sall_edge: Run, tiny_engine: Engine, tmp_path: Path, pixels: np.ndarray
) -> None:
    UNREADABLE[name](tmp_path / name, pixels)
    good = _write(tmp_path / "good.jpg", pixels)
    done = sall_edge("screen", tiny_engine.path, tmp_path / name, good, "--json")
    assert done.code == 1
    bad, verdict = _json(done)
    assert set(bad) >= {"photo", "error"}
    assert "verdict" not in bad
    assert "tasks" not in bad or bad["tasks"] == {}
    assert all(bad["error"][key] for key in ("what", "why", "fix"))
    assert verdict["gradable"] is True


UNGRADABLE = {
    "black.png": lambda: np.zeros((400, 400, 3), np.uint8),
    "outer_eye.png": lambda: draw_outer_eye(np.random.default_rng(0), 400),
    "grey.png": lambda: np.repeat(
        draw_phantom(np.random.default_rng(3), side_px=320, dr_grade=0, amd_grade=0, eye="L").pixels[..., 1:2],
        3,
        axis=2,
    ),
}


@pytest.mark.parametrize("name", UNGRADABLE)
def test_what_cannot_be_graded_is_a_retake_and_never_a_negative(
    name: str, sall_edge: Run, tiny_engine: Engine, tmp_path: Path
) -> None:
    photograph = _write(tmp_path / name, UNGRADABLE[name]())
    done = sall_edge("screen", tiny_engine.path, photograph, "--json")
    assert done.code == 0, done.err
    (verdict,) = _json(done)
    assert verdict["gradable"] is False
    assert verdict["verdict"] == "retake"
    assert verdict["reasons"]
    assert verdict["tasks"] == {}
    assert "RETAKE" in sall_edge("screen", tiny_engine.path, photograph).out


def test_an_output_that_cannot_be_written_is_said(
    sall_edge: Run, tiny_engine: Engine, tmp_path: Path, pixels: np.ndarray
) -> None:
    (tmp_path / "file").write_text("in the way")
    photograph = _write(tmp_path / "a.jpg", pixels)
    done = sall_edge("screen", tiny_engine.path, photograph, "--heatmap", tmp_path / "file" / "maps")
    assert done.code == 1
    assert "cannot write" in done.err
    assert "fix:" in done.err


def test_an_empty_folder_is_said(sall_edge: Run, tiny_engine: Engine, tmp_path: Path) -> None:
    done = sall_edge("screen", tiny_engine.path, tmp_path)
    assert done.code == 1
    assert "holds no photograph" in done.err
