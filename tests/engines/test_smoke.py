import numpy as np
import pytest
from fakes.tiny_graph import TASKS

import engines.smoke
from engines.smoke import SMOKE_SQUARES, smoke
from sall_edge.artifacts import Engine
from sall_edge.errors import ParityError
from sall_edge.runtime.session import open_session


def test_an_honest_engine_is_close_to_its_graph(fp32_engine: Engine) -> None:
    found = smoke(fp32_engine)
    assert found["squares"] == SMOKE_SQUARES
    assert found["largest_difference_from_fp32"] < 1e-4


class _Spoilt:
    """An engine's runner that spoils one output."""

    streams = 1

    def __init__(self, engine: Engine, spoil) -> None:
        self.inner = open_session(engine)._open_runner()
        self.version, self.spoil = "1", spoil

    def infer(self, squares: np.ndarray) -> dict[str, np.ndarray]:
        outputs = {name: values.copy() for name, values in self.inner.infer(squares).items()}
        self.spoil(outputs["amd_probs"])
        return outputs

    def close(self) -> None:
        self.inner.close()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda probs: probs.fill(np.nan), "amd_probs sum to"),
        (lambda probs: probs.fill(0.4), "amd_probs sum to"),
        (lambda probs: probs.fill(1 / len(TASKS[1].grades)), "probabilities differ by"),
    ],
)
def test_what_is_no_answer_to_the_graph_is_refused(
    fp32_engine: Engine, monkeypatch: pytest.MonkeyPatch, spoil, words: str
) -> None:
    runner = _Spoilt(fp32_engine, spoil)
    session = engines.smoke.open_reference(fp32_engine)
    session._runner = runner
    monkeypatch.setattr(engines.smoke, "open_session", lambda engine: session)
    with pytest.raises(ParityError, match="does not compute what its graph says") as error:
        smoke(fp32_engine)
    assert words in error.value.why
