import csv
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from sall_edge.errors import FieldNotFound
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.fundus.phantom.aiming import FRAMES_FILE, Still, aiming_frames, write_aiming
from sall_edge.screening.camera.guidance import Guide
from sall_edge.screening.camera.source import Frame

SIZE = {"width_px": 640, "height_px": 360, "frames_per_s": 10.0}


@pytest.fixture(scope="module")
def retina() -> np.ndarray:
    return draw_phantom(np.random.default_rng(3), side_px=512, dr_grade=0, amd_grade=0, eye="R").pixels


def _guided(stills: list[Still]) -> list[tuple[tuple[str, ...], bool]]:
    guide = Guide()
    frames = aiming_frames(stills, np.random.default_rng(0), **SIZE)
    seen = [
        guide.look(Frame(pixels=pixels, exposed_s=at_s, number=number)) for number, (at_s, pixels) in enumerate(frames)
    ]
    return [(guidance.hints, guidance.is_steady) for guidance in seen]


def test_a_retina_is_found_approached_and_held(retina: np.ndarray) -> None:
    guided = _guided([Still(pixels=retina)])
    assert guided[0][0] == ("find_retina",)
    assert any({"move_left", "move_right"} & set(hints) for hints, _ in guided)
    assert guided[-1][1]


def test_what_is_never_sharp_never_becomes_steady(retina: np.ndarray) -> None:
    guided = _guided([Still(pixels=retina, blur=0.04)])
    assert not any(is_steady for _, is_steady in guided)
    assert guided[-1][0] == ("focus",)


def test_between_two_retinas_the_view_is_dark(retina: np.ndarray) -> None:
    guided = _guided([Still(pixels=retina, held_s=1.0), Still(pixels=retina, held_s=1.0)])
    found = [hints != ("find_retina",) for hints, _ in guided]
    assert [found[index] != found[index - 1] for index in range(1, len(found))].count(True) == 3


def test_no_two_frames_are_the_same(retina: np.ndarray) -> None:
    frames = [pixels for _, pixels in aiming_frames([Still(pixels=retina)], np.random.default_rng(0), **SIZE)]
    assert all(np.any(one != other) for one, other in pairwise(frames))


def test_a_written_aiming_is_a_list_of_frames_and_their_times(retina: np.ndarray, tmp_path: Path) -> None:
    count = write_aiming([Still(pixels=retina, held_s=0.5)], tmp_path / "aiming", seed=1, **SIZE)
    with (tmp_path / "aiming" / FRAMES_FILE).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == count == 25
    assert [float(row["at_s"]) for row in rows] == [pytest.approx(number / 10) for number in range(count)]
    assert cv2.imread(str(tmp_path / "aiming" / rows[-1]["file"])).shape == (360, 640, 3)


def test_a_still_without_a_retina_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FieldNotFound):
        write_aiming([Still(pixels=np.zeros((300, 300, 3), np.uint8))], tmp_path / "aiming", seed=1)
    assert not list(tmp_path.iterdir())
