from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sall_edge.fundus.phantom import draw_phantom
from sall_edge.screening.camera.open import open_camera

Run = Callable[..., Any]  # the fixture of tests/conftest.py


def test_a_photograph_becomes_a_recording_that_plays_as_a_camera(sall_edge: Run, tmp_path: Path) -> None:
    pixels = draw_phantom(np.random.default_rng(1), side_px=512, dr_grade=0, amd_grade=0, eye="R").pixels
    cv2.imwrite(str(tmp_path / "eye.png"), pixels[..., ::-1])
    small = ["--height", 360, "--held", 0.5, "--fps", 10]
    done = sall_edge("aiming", tmp_path / "eye.png", "-o", tmp_path / "frames", *small)
    assert (done.code, done.out.strip()) == (0, str(tmp_path / "frames")), done.err
    assert len(list((tmp_path / "frames").glob("*.jpg"))) == 25
    with open_camera(f"frames:{tmp_path / 'frames'}") as camera:
        frame = camera.frame(timeout_s=5)
    assert frame is not None
    assert frame.pixels.shape == (360, 640, 3)


def test_a_photograph_without_a_retina_is_refused(sall_edge: Run, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((400, 400, 3), np.uint8))
    done = sall_edge("aiming", tmp_path / "black.png", "-o", tmp_path / "frames")
    assert done.code == 1
    assert "no retina" in done.err
    assert not (tmp_path / "frames").exists()
