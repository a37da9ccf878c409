from collections.abc import Callable

import pytest
from fakes.tiny_graph import labelled, squares

from engines.build import build_int8
from engines.gate import Gate, GateLimits
from engines.targets import load_target
from sall_edge.artifacts import Engine, OnnxModel, QdqModel
from sall_edge.fundus.prepared_set import PreparedSet

LENIENT = GateLimits(
    name="lenient", referable_auc_kept=0, grade_agreement=0, lost_referrals=1, gained_referrals=1, sensitivity_loss=1
)


@pytest.fixture(scope="session")
def gate_of() -> Callable[[int], Gate]:
    """A gate on 120 squares that lets pass, with so many probes."""
    prepared = PreparedSet(photographs=labelled(120), squares=squares(120, seed=0), failures=())
    return lambda probes: Gate(prepared=prepared, limits=LENIENT, probes=probes)


@pytest.fixture(scope="session")
def judged_engine(
    model: OnnxModel, qdq: QdqModel, gate_of: Callable[[int], Gate], tmp_path_factory: pytest.TempPathFactory
) -> Engine:
    """An INT8 engine for openvino-cpu with 16 probes."""
    place = tmp_path_factory.mktemp("judged") / "engine"
    return build_int8(model, qdq, load_target("openvino-cpu"), place, gate=gate_of(16))
