from pathlib import Path

import numpy as np

from calibration.listing import Listed, list_path, listed, load_list, save_list
from sall_edge.artifacts import QdqModel
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.fundus.prepared_set import PreparedSet


def _prepared() -> PreparedSet:
    photographs = tuple(
        LabelledPhotograph(
            path=Path(f"images/{name}.jpg"),
            grades={},
            patient_id=f"0:{name}",
            eye="",
            split="train",
            source_csv=Path("labels.csv"),
            extra={},
        )
        for name in ("a", "b,c")
    )
    squares = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    return PreparedSet(photographs=photographs, squares=squares, failures=())


def test_every_photograph_is_listed_with_its_patient_and_its_pixels() -> None:
    first, second = listed(_prepared())
    assert (first.image, first.patient) == ("images/a.jpg", "a")
    assert first.labels == str(Path("labels.csv").resolve())
    assert first.sha256 != second.sha256


def test_a_list_is_read_as_it_was_written(tiny_qdq: QdqModel, tmp_path: Path) -> None:
    photographs = listed(_prepared())
    graph = QdqModel(
        path=tmp_path / "qdq.onnx",
        sha256=tiny_qdq.sha256,
        manifest=tiny_qdq.manifest.model_copy(
            update={
                "provenance": {
                    "ranges": {"photographs_sha256": save_list(photographs, list_path(tmp_path / "qdq.onnx"))}
                }
            }
        ),
    )
    assert load_list(graph) == photographs
    assert isinstance(photographs[0], Listed)


def test_a_graph_without_a_list_has_none(tiny_qdq: QdqModel) -> None:
    assert load_list(tiny_qdq) is None


def test_the_list_of_an_engine_stands_beside_it() -> None:
    assert list_path(Path("out/engine")) == Path("out/engine.calibration.csv")
    assert list_path(Path("out/qdq.onnx")) == Path("out/qdq.calibration.csv")
