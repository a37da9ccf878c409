import json
from pathlib import Path

import pytest

from sall_edge.artifacts import OnnxModel


@pytest.mark.slow
def test_sensitivity_names_layers_and_draws_them(
    sall_edge, tiny_model: OnnxModel, phantom_labels: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "layers.png"
    options = ["--labels", phantom_labels, "--count", 8]
    done = sall_edge("sensitivity", tiny_model.path, *options, "--picture", picture)
    assert done.code == 0, done.err
    assert "8 photographs; shares of answers that change" in done.out
    assert "layers in INT8, but for the costliest" in done.out
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(sall_edge("sensitivity", tiny_model.path, *options, "--json").out)
    assert found["model_sha256"] == tiny_model.sha256
    assert found["alone"][0]["layer"].rsplit("/", 1)[-1][-10:] in done.out
    assert set(found["alone"][0]["kl"]) == {"dr", "amd"}
