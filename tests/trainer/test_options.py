import json
from typing import Any

import pytest

from sall_edge.errors import TrainingError
from trainer.options import TrainingOptions


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch_size", 1),
        ("learning_rate", 0.0),
        ("weight_decay", -0.1),
        ("average_decay", 1.0),
        ("dropout", 1.0),
        ("seed", -1),
        ("patience", 0),
        ("soft_weight", -1.0),
        ("consistency_weight", -1.0),
        ("soft_temperature", 0.0),
        ("wanted_sensitivity", 1.1),
        ("most_refused", 1.0),
    ],
)
def test_a_value_outside_its_range_is_an_error_with_a_legal_one(name: str, value: Any) -> None:
    with pytest.raises(TrainingError, match=f"{name} is {value}") as caught:
        TrainingOptions(**{name: value})
    assert caught.value.fix.startswith(f"give {name} ")


def test_nan_is_no_learning_rate() -> None:
    with pytest.raises(TrainingError, match="learning_rate is nan"):
        TrainingOptions(learning_rate=float("nan"))


def test_options_survive_json_and_name_every_field() -> None:
    content = TrainingOptions().to_json()
    assert json.loads(json.dumps(content)) == content
    assert content.keys() == set(TrainingOptions.__dataclass_fields__)
