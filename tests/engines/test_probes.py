import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes.tiny_graph import TASKS, squares

import engines.gate
from engines.build import build_float
from engines.gate import Gate
from engines.probes import PROBES, Probes, choose_probes, read_probes, write_probes
from engines.targets import load_target
from sall_edge.artifacts import Engine, OnnxModel, open_engine
from sall_edge.errors import ArtefactChanged, ArtefactForeign, BuildError

DR, AMD = TASKS
POINTS = {"dr": 0.5, "amd": 0.5}


def _probs(referable: np.ndarray, grades: int) -> np.ndarray:
    """(n, grades): all that is referable in the last grade."""
    probs = np.zeros((len(referable), grades), np.float32)
    probs[:, 0], probs[:, -1] = 1 - referable, referable
    return probs


def _chosen(dr: np.ndarray, amd: np.ndarray, count: int) -> Probes:
    """Square n is filled with n."""
    numbered = np.arange(len(dr), dtype=np.uint8)[:, np.newaxis, np.newaxis, np.newaxis].repeat(3, axis=3)
    fp32 = {"dr": _probs(dr, len(DR.grades)), "amd": _probs(amd, len(AMD.grades))}
    return choose_probes(numbered, fp32, fp32, tasks=TASKS, operating_points=POINTS, count=count)


def _even(count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.permutation(np.linspace(0, 1, count)), rng.permutation(np.linspace(0, 1, count))


def test_every_task_is_covered_evenly_on_both_sides_of_its_operating_point() -> None:
    probes = _chosen(*_even(), PROBES)
    assert len(probes.squares) == PROBES
    for task in TASKS:
        referable = np.sort(probes.fp32[task.name][:, -1])
        assert (referable < 0.5).sum() >= PROBES // 4
        assert (referable >= 0.5).sum() >= PROBES // 4 - 1
        assert np.diff(referable, prepend=0, append=1).max() < 0.15


def test_a_side_with_few_photographs_gives_all_of_them_and_the_other_side_fills_up() -> None:
    dr = np.linspace(0, 0.4, 100)
    dr[:3] = (0.7, 0.8, 0.9)
    probes = _chosen(dr, np.linspace(0, 1, 100), 20)
    assert len(probes.squares) == 20
    assert {0, 1, 2} <= set(probes.squares[:, 0, 0, 0].tolist())


def test_what_lies_next_to_the_operating_point_would_flip_by_rounding_and_is_not_chosen() -> None:
    dr, _ = _even()
    dr[7], dr[8] = 0.4999, 0.5001
    probes = _chosen(dr, dr, 16)
    assert not {7, 8} & set(probes.squares[:, 0, 0, 0].tolist())


def test_the_photograph_on_which_rounding_did_most_is_always_among_them() -> None:
    dr, amd = _even()
    fp32 = {"dr": _probs(dr, len(DR.grades)), "amd": _probs(amd, len(AMD.grades))}
    judged = {name: probs + np.float32(0.001) for name, probs in fp32.items()}
    judged["amd"][123, 0] += np.float32(0.01)
    numbered = np.arange(200, dtype=np.uint8)[:, np.newaxis, np.newaxis, np.newaxis]
    for count in (1, 2, 32):
        chosen = choose_probes(numbered, fp32, judged, tasks=TASKS, operating_points=POINTS, count=count)
        assert 123 in chosen.squares.ravel()
        assert len(chosen.squares) == count


def test_fewer_photographs_than_asked_for_are_all_taken_once() -> None:
    dr, amd = _even(10)
    assert sorted(_chosen(dr, amd, 32).squares[:, 0, 0, 0].tolist()) == list(range(10))
    assert len(_chosen(dr, amd, 1).squares) == 1


def test_squares_keep_their_rows_of_both_answers() -> None:
    dr, amd = _even()
    probes = _chosen(dr, amd, 12)
    rows = probes.squares[:, 0, 0, 0].astype(int)
    np.testing.assert_array_equal(probes.fp32["dr"][:, -1], dr[rows].astype(np.float32))
    np.testing.assert_array_equal(probes.judged["amd"][:, -1], amd[rows].astype(np.float32))


def test_what_was_stored_comes_back_bit_by_bit(judged_engine: Engine, gate_of: Callable[[int], Gate]) -> None:
    probes = read_probes(judged_engine)
    assert probes is not None
    pool = gate_of(16).prepared.squares
    assert len(probes.squares) == 16
    assert all((pool == square).all(axis=(1, 2, 3)).any() for square in probes.squares)
    assert probes.fp32["dr"].shape == (16, len(DR.grades))
    assert 0 < probes.differences(probes.judged).max() < 0.1
    assert "probes.npz" in judged_engine.manifest.files


def test_a_changed_byte_of_the_probes_is_a_changed_bundle(judged_engine: Engine, tmp_path: Path) -> None:
    shutil.copytree(judged_engine.path, tmp_path / "engine")
    content = bytearray((tmp_path / "engine" / "probes.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "engine" / "probes.npz").write_bytes(content)
    with pytest.raises(ArtefactChanged, match=r"probes\.npz changed"):
        open_engine(tmp_path / "engine")


def test_a_build_without_a_gate_or_with_no_probes_stores_no_photograph(
    fp32_engine: Engine, model: OnnxModel, gate_of: Callable[[int], Gate], tmp_path: Path
) -> None:
    assert read_probes(fp32_engine) is None
    engine = build_float(model, load_target("openvino-cpu"), tmp_path / "engine", gate=gate_of(0))
    assert (engine.path / "gate.json").is_file()
    assert not (engine.path / "probes.npz").exists()
    assert read_probes(engine) is None


def test_the_gate_asks_the_engine_and_fp32_once_each(
    model: OnnxModel, gate_of: Callable[[int], Gate], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, asked = engines.gate.predict_all, []

    def predict_all(session, squares, **options):
        asked.append(len(squares))
        return honest(session, squares, **options)

    monkeypatch.setattr(engines.gate, "predict_all", predict_all)
    build_float(model, load_target("openvino-cpu"), tmp_path / "engine", gate=replace(gate_of(8), answers={}))
    assert asked == [120, 120]


def _stored(engine: Engine, folder: Path, **arrays: object) -> Engine:
    np.savez(folder / "probes.npz", **arrays)
    return Engine(path=folder, manifest=engine.manifest, sha256="")


def test_what_is_no_probes_of_the_engine_is_refused_and_nothing_is_unpickled(
    judged_engine: Engine, tmp_path: Path
) -> None:
    with np.load(judged_engine.path / "probes.npz") as file:
        good = dict(file)
    answers = {name: values for name, values in good.items() if name != "squares"}
    bad = [
        {**good, "squares": np.array([{}], dtype=object)},
        {**good, "squares": good["squares"][:100]},
        {**good, "fp32_dr": good["fp32_dr"][:3]},
        {**good, "judged_amd": np.array([{}], dtype=object)},
        answers,
    ]
    for arrays in bad:
        with pytest.raises(ArtefactForeign, match="holds no probes of this engine"):
            read_probes(_stored(judged_engine, tmp_path, **arrays))
    (tmp_path / "probes.npz").write_bytes(b"text")
    with pytest.raises(ArtefactForeign, match="holds no probes of this engine"):
        read_probes(Engine(path=tmp_path, manifest=judged_engine.manifest, sha256=""))


def test_a_picture_that_opencv_refuses_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.probes.cv2.imencode", lambda suffix, picture: (False, None))
    with pytest.raises(BuildError, match="2 probes of 64 px cannot be packed"):
        write_probes(Probes(squares=squares(2, seed=0), fp32={}, judged={}), tmp_path)
