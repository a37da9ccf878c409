"""The whole chain in miniature: a network too small to be good, and every file that the real demo leaves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sall_edge.artifacts import open_checkpoint, open_engine
from sall_edge.spec import Profile

Run = Callable[..., Any]  # the fixture of tests/conftest.py


@pytest.mark.slow
def test_the_demo_goes_from_drawn_photographs_to_a_page(
    sall_edge: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Profile, "seconds", 0.5)
    out = tmp_path / "demo"
    small = ["--count", 60, "--epochs", 1, "--backbone", "test_efficientnet", "--weights", "none", "--side", 64]
    done = sall_edge("demo", "-o", out, *small)
    assert done.code == 0, done.err
    assert "Diabetic retinopathy, n = " in done.out
    assert str(out / "index.html") in done.out

    engine = open_engine(out / "engine")
    assert engine.manifest.precision.value == "int8"
    assert engine.manifest.image.side_px == 64
    assert "validation photographs are too few" in engine.manifest.provenance["familiarity"]  # of 60; 400 have enough
    checkpoint = open_checkpoint(out / "run" / "checkpoint")
    assert set(checkpoint.manifest.provenance["teachers"]) == {"dr", "amd"}
    page = (out / "index.html").read_text(encoding="utf-8")
    assert engine.sha256 in page
    assert "Referable AUC" in page
    assert page.count("<svg") >= 2  # a reliability diagram for each task
    assert (out / "index.json").is_file()
    assert (out / "index.md").is_file()
    assert "data:image/jpeg;base64," in page
    assert "amd_probs" not in page

    (document,) = (out / "examination" / "documents").iterdir()
    assert document.name in page
    assert sall_edge("audit", "verify", out / "examination" / "store").code == 0

    (photograph, *_) = sorted((out / "phantoms" / "images").iterdir())
    screened = sall_edge("screen", out / "engine", photograph, "--heatmap", out / "maps")
    assert screened.code == 0, screened.err
    assert str(photograph) in screened.out
