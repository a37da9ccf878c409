from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fakes.tiny_graph import SIDE_PX, squares

from benchmarks.device_check.findings import Findings, read_findings
from benchmarks.device_check.order import SQUARES_NAME, SUBJECT_NAME, Order, Subject
from sall_edge.artifacts import OnnxModel, QdqModel


@pytest.fixture
def order(model: OnnxModel, qdq: QdqModel, tmp_path: Path) -> Order:
    """What the step `graphs` leaves, for the graph of two convolutions."""
    order = Order(work=tmp_path / "work", seconds=0.05, inferences=50, photographs=12)
    order.graphs.mkdir(parents=True)
    for graph in (model, qdq):
        (order.graphs / graph.path.name).write_bytes(graph.path.read_bytes())
    np.save(order.work / SQUARES_NAME, squares(order.photographs, seed=0))
    manifest = model.manifest
    assert manifest.image.side_px == SIDE_PX
    subject = Subject(
        origin="tests", image=manifest.image, tasks=manifest.tasks, operating_points=manifest.operating_points
    )
    (order.work / SUBJECT_NAME).write_text(subject.model_dump_json())
    return order


@pytest.fixture
def found(tmp_path: Path) -> tuple[Findings, Callable[[], dict]]:
    """Findings, and what stands on disk of them."""
    place = tmp_path / "findings.json"
    return Findings(place), lambda: read_findings(place)[0]
