"""A photograph in, a verdict out; what cannot be graded is a retake and never a negative."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sall_edge.artifacts import Engine
from sall_edge.errors import UnreadablePhotograph
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.fundus.prepare import prepare_file
from sall_edge.fundus.quality import QualityLimits, assess
from sall_edge.fundus.quality.limits import Limit
from sall_edge.runtime.session import open_session
from sall_edge.screening.photographs import find_photographs
from sall_edge.screening.verdict import Examined, Verdict, examine, look, screen
from sall_edge.spec import Role

EXACT = 1e-6
"""The verdict holds the engine's float32 probabilities as Python floats, unchanged."""


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("eye") / "eye.jpg"
    Image.fromarray(draw_phantom(np.random.default_rng(3), side_px=320, dr_grade=2, amd_grade=0, eye="R").pixels).save(
        path, quality=92
    )
    return path


@pytest.fixture
def examined_at(tiny_engine: Engine, photograph: Path) -> Callable[[float, float], Examined]:
    """The photograph under other operating points for DR and AMD."""

    def run(dr: float, amd: float) -> Examined:
        manifest = tiny_engine.manifest.model_copy(update={"operating_points": {"dr": dr, "amd": amd}})
        with open_session(replace(tiny_engine, manifest=manifest)) as session:
            return examine(session, photograph)

    return run


def test_files_keep_their_order_and_folders_are_walked_in_theirs(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.tiff", "sub/c.png", "notes.txt", "sub/.hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    named = tmp_path / "notes.txt"
    found = find_photographs([named, tmp_path])
    assert found == (named, tmp_path / "a.tiff", tmp_path / "b.JPG", tmp_path / "sub/c.png")


def test_a_missing_file_is_kept_so_that_its_error_is_reported(tmp_path: Path) -> None:
    assert find_photographs([tmp_path / "gone.jpg"]) == (tmp_path / "gone.jpg",)


def test_a_folder_without_photographs_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnreadablePhotograph, match="holds no photograph"):
        find_photographs([tmp_path])


def test_the_verdict_holds_what_the_engine_says_of_the_prepared_square(
    tiny_engine: Engine, photograph: Path, examined_at: Callable[[float, float], Examined]
) -> None:
    prepared = prepare_file(photograph, tiny_engine.manifest.image)
    with open_session(tiny_engine) as session:
        wanted = session.run(prepared.square)
    examined = examined_at(0.5, 0.5)
    assert examined.square is not None
    np.testing.assert_array_equal(examined.square, prepared.square)
    assert examined.result.sha256 == prepared.sha256
    for name, verdict in examined.result.tasks.items():
        np.testing.assert_allclose(verdict.probs, wanted.probs[name], atol=EXACT)
        assert verdict.grade == int(wanted.probs[name].argmax())
        assert verdict.confidence == max(verdict.probs)


@pytest.mark.parametrize(
    ("dr", "amd", "verdict"),
    [
        (0.0, 0.0, Verdict.REFER),
        (0.0, 1.1, Verdict.REFER),
        (1.1, 0.0, Verdict.REFER),
        (1.1, 1.1, Verdict.NO_REFERRAL),
    ],
)
def test_one_referable_disease_is_enough_to_refer(
    examined_at: Callable[[float, float], Examined], dr: float, amd: float, verdict: Verdict
) -> None:
    result = examined_at(dr, amd).result
    assert result.verdict is verdict
    assert {name: task.referable for name, task in result.tasks.items()} == {"dr": dr == 0, "amd": amd == 0}


def test_a_probability_at_the_operating_point_is_referable(
    tiny_engine: Engine, examined_at: Callable[[float, float], Examined]
) -> None:
    probs = examined_at(0.5, 0.5).result.tasks["dr"].probs
    exactly = tiny_engine.manifest.tasks[0].referable_probability(probs)
    assert examined_at(exactly, 0.5).result.tasks["dr"].referable
    assert not examined_at(float(np.nextafter(exactly, 2)), 0.5).result.tasks["dr"].referable


def test_a_frame_without_a_retina_is_a_retake_that_was_never_graded(tiny_engine: Engine, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((400, 400, 3), np.uint8)).save(tmp_path / "black.png")
    with open_session(tiny_engine) as session:
        examined = examine(session, tmp_path / "black.png")
    assert examined.prediction is None
    assert examined.result.verdict is Verdict.RETAKE
    assert examined.result.reasons == ("no_field_of_view",)
    assert examined.result.tasks == {}


def test_an_unreadable_photograph_is_an_error_without_any_verdict_and_the_rest_come(
    tiny_engine: Engine, photograph: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.jpg").touch()
    with open_session(tiny_engine) as session:
        bad, good = screen(session, [tmp_path / "empty.jpg", photograph])
    assert bad.result.error is not None
    assert bad.result.error.fix
    assert bad.result.model_dump(mode="json", exclude_none=True).keys().isdisjoint({"verdict", "gradable"})
    assert good.result.gradable is True


def test_an_engine_with_streams_gives_the_same_verdicts_in_the_same_order(
    tiny_engine: Engine, photograph: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.jpg").touch()
    photographs = [photograph, tmp_path / "empty.jpg", *[photograph] * 10, tmp_path / "none.jpg"]
    with open_session(tiny_engine) as session:
        expected = [one.result.model_copy(update={"ms": {}}) for one in screen(session, photographs)]
    with open_session(tiny_engine, streams=2) as session:
        assert [one.result.model_copy(update={"ms": {}}) for one in screen(session, photographs)] == expected


def test_the_parts_of_a_look_lie_within_its_total(tiny_engine: Engine, photograph: Path) -> None:
    looked = look(photograph, tiny_engine.manifest.image)
    assert looked.prepared is not None
    assert looked.quality_ms > 0
    assert looked.prepared.decode_ms + looked.prepared.prepare_ms + looked.quality_ms <= looked.total_ms


@pytest.fixture
def judged_by_its_own_head(tiny_engine: Engine, photograph: Path) -> Callable[[float], Examined]:
    """The photograph by an engine whose first task is the photograph's quality, under an operating point for it."""

    def run(point: float) -> Examined:
        quality, amd = tiny_engine.manifest.tasks
        tasks = (quality.model_copy(update={"role": Role.QUALITY}), amd)
        points = {"dr": point, "amd": 0.0}
        manifest = tiny_engine.manifest.model_copy(update={"tasks": tasks, "operating_points": points})
        with open_session(replace(tiny_engine, manifest=manifest)) as session:
            return examine(session, photograph)

    return run


def test_what_the_networks_own_quality_task_refuses_is_a_retake_without_a_verdict_on_any_disease(
    judged_by_its_own_head: Callable[[float], Examined],
) -> None:
    examined = judged_by_its_own_head(0.0)
    assert examined.result.verdict is Verdict.RETAKE
    assert examined.result.gradable is False
    assert examined.result.reasons == ("quality_head",)
    assert examined.result.tasks == {}
    assert examined.prediction is None
    assert examined.result.quality_score is not None
    assert examined.result.quality_score <= 0.5 < assess(examined.square).score  # type: ignore[arg-type]


def test_quality_is_never_a_disease(judged_by_its_own_head: Callable[[float], Examined]) -> None:
    result = judged_by_its_own_head(1.1).result
    assert set(result.tasks) == {"amd"}
    assert result.verdict is Verdict.REFER
    assert 0 <= result.quality["quality_head"] <= 1
    assert result.quality_score == pytest.approx(1 - 0.5 * result.quality["quality_head"] / 1.1)


def test_limits_decide_and_are_recorded(tiny_engine: Engine, photograph: Path) -> None:
    strict = QualityLimits(camera="Z9", brightness=Limit(at=240, usual=250))
    with open_session(tiny_engine) as session:
        usual = examine(session, photograph).result
        refused = examine(session, photograph, limits=strict).result
        (screened,) = screen(session, [photograph], limits=strict)
    assert usual.gradable
    assert usual.quality_limits_sha256 == QualityLimits().sha256
    assert refused.reasons == screened.result.reasons == ("too_dark",)
    assert refused.quality_limits_sha256 == strict.sha256
    assert refused.quality == usual.quality
    assert usual.quality_score is not None
    assert refused.quality_score is not None
    assert refused.quality_score < 0.5 <= usual.quality_score
