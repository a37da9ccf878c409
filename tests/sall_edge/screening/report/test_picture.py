"""Which pictures of a screened photograph a document shows."""

import numpy as np

from sall_edge.runtime.session import Prediction
from sall_edge.screening.overlay import draw_evidence, enlarge
from sall_edge.screening.report.picture import picture_of
from sall_edge.screening.verdict import Examined, ScreenedPhotograph, TaskVerdict

SQUARE = np.full((64, 64, 3), 90, np.uint8)
CAMS = {name: np.zeros((4, 4), np.float32) for name in ("dr", "amd")}
CAMS["dr"][1, 1], CAMS["amd"][2, 2] = 15, 9


def _examined(**referable: bool) -> Examined:
    tasks = {
        name: TaskVerdict(grade=0, probs=(1.0, 0.0), referable=is_referable, confidence=1.0)
        for name, is_referable in referable.items()
    }
    probs = {name: np.zeros(2, np.float32) for name in referable}
    result = ScreenedPhotograph(photo="eye.jpg", gradable=True, tasks=tasks)
    return Examined(result=result, square=SQUARE, prediction=Prediction(probs=probs, cams=CAMS))


def test_a_referable_disease_is_shown_with_its_evidence() -> None:
    picture = picture_of(_examined(dr=True, amd=False))
    assert picture is not None
    assert picture.tasks == ("dr",)
    assert np.array_equal(picture.square, enlarge(SQUARE))
    assert np.array_equal(picture.evidence, draw_evidence(SQUARE, CAMS["dr"]))


def test_of_two_diseases_the_strongest_evidence_is_drawn_everywhere() -> None:
    picture = picture_of(_examined(dr=True, amd=True))
    assert picture is not None
    assert picture.tasks == ("dr", "amd")
    assert np.array_equal(picture.evidence, draw_evidence(SQUARE, np.maximum(CAMS["dr"], CAMS["amd"])))


def test_what_is_not_referable_or_was_not_graded_has_no_evidence() -> None:
    clear = picture_of(_examined(dr=False, amd=False))
    ungraded = picture_of(Examined(result=ScreenedPhotograph(photo="eye.jpg", gradable=False), square=SQUARE))
    for picture in (clear, ungraded):
        assert picture is not None
        assert (picture.evidence, picture.tasks) == (None, ())


def test_a_photograph_without_a_field_of_view_has_no_picture() -> None:
    assert picture_of(Examined(result=ScreenedPhotograph(photo="eye.jpg", gradable=False))) is None
