import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from calibration.graphs import load_proto
from calibration.placement import is_head, topology
from engines import export as export_module
from engines.export import OPSET, ExportedNetwork, export
from sall_edge.artifacts import Checkpoint, Kind, OnnxModel
from sall_edge.errors import ParityError
from sall_edge.spec import ImageSpec, Precision, Task
from trainer.checkpoint import load_network, save_checkpoint
from trainer.network import SallNetwork

SIDE = 64
TASKS = (
    Task(name="dr", title="DR", column="dr_grade", grades=("0", "1", "2", "3", "4"), referable_from=2),
    Task(name="amd", title="AMD", column="amd_grade", grades=("0", "1", "2"), referable_from=1),
)
TEMPERATURES = {"dr": 2.5, "amd": 0.5}

FOLDING_TOLERANCE = 1e-4
"""Float32 sums in another order, after batch norms and temperatures are folded into weights."""


def _checkpoint(backbone: str, folder: Path, side_px: int = SIDE) -> Checkpoint:
    torch.manual_seed(3)
    network = SallNetwork(backbone=backbone, tasks=TASKS, mean=(0.4, 0.3, 0.2), std=(0.3, 0.2, 0.25))
    _with_lively_statistics(network, side_px)
    return save_checkpoint(
        folder / "checkpoint",
        network,
        image=ImageSpec(side_px=side_px),
        tasks=TASKS,
        operating_points={"dr": 0.4, "amd": 0.6},
        temperatures=TEMPERATURES,
        provenance={},
    )


def _with_lively_statistics(network: SallNetwork, side_px: int) -> None:
    """Batch norms that are no identity, and heads whose probabilities differ."""
    generator = torch.Generator().manual_seed(4)
    images = torch.randint(0, 256, (8, side_px, side_px, 3), dtype=torch.uint8, generator=generator)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.bias.uniform_(-0.2, 0.2, generator=generator)
        network.train()(images)
        for head in network.heads.values():
            head.weight.mul_(10)
    network.eval()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return _checkpoint("test_efficientnet", tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def model(checkpoint: Checkpoint) -> OnnxModel:
    return export(checkpoint, checkpoint.path.parent / "model.onnx")


def _images(batch: int, seed: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (batch, SIDE, SIDE, 3), dtype=np.uint8)


def _run(model: OnnxModel, images: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(model.path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": images}), strict=True))


def test_the_manifest_carries_what_the_device_needs(checkpoint: Checkpoint, model: OnnxModel) -> None:
    assert model.manifest.kind is Kind.ONNX
    assert model.manifest.precision is Precision.FP32
    assert model.manifest.parent_sha256 == checkpoint.sha256
    assert model.manifest.image == checkpoint.manifest.image
    assert model.manifest.tasks == TASKS
    assert model.manifest.operating_points == {"dr": 0.4, "amd": 0.6}


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_probabilities_are_those_of_torch_with_the_temperature(
    batch: int, checkpoint: Checkpoint, model: OnnxModel
) -> None:
    images = _images(batch)
    with torch.no_grad():
        logits = load_network(checkpoint)(torch.from_numpy(images))
    got = _run(model, images)
    for task in TASKS:
        wanted = torch.softmax(logits[task.name] / TEMPERATURES[task.name], dim=1).numpy()
        assert got[f"{task.name}_probs"].shape == (batch, len(task.grades))
        assert np.abs(got[f"{task.name}_probs"] - wanted).max() < FOLDING_TOLERANCE


def test_the_features_are_what_the_heads_read(checkpoint: Checkpoint, model: OnnxModel) -> None:
    images = _images(3)
    network = load_network(checkpoint)
    with torch.no_grad():
        wanted = network.pooled(torch.from_numpy(images)).numpy()
    got = _run(model, images)["features"]
    assert got.shape == (3, network.channels)
    assert np.abs(got - wanted).max() < FOLDING_TOLERANCE * np.abs(wanted).max()


def test_the_mean_of_a_map_is_the_referable_logit_less_the_other(checkpoint: Checkpoint, model: OnnxModel) -> None:
    images = _images(3)
    network = load_network(checkpoint)
    with torch.no_grad():
        logits = network(torch.from_numpy(images))
    got = _run(model, images)
    for task in TASKS:
        first = task.referable_from
        bias = network.heads[task.name].bias.detach()
        constant = float(bias[first:].mean() - bias[:first].mean())
        wanted = (logits[task.name][:, first:].mean(1) - logits[task.name][:, :first].mean(1)).numpy()
        means = got[f"{task.name}_cam"].mean(axis=(1, 2)) + constant
        assert np.abs(means - wanted).max() < FOLDING_TOLERANCE * np.abs(wanted).max()


def test_a_photograph_gets_the_same_answer_in_any_batch(model: OnnxModel) -> None:
    images = _images(4)
    together, alone = _run(model, images), _run(model, images[2:3])
    for name, values in alone.items():
        assert np.allclose(together[name][2:3], values, atol=FOLDING_TOLERANCE)


def test_nothing_is_left_that_should_be_folded(model: OnnxModel) -> None:
    operators = {node.op_type for node in load_proto(model).graph.node}
    assert not operators & {"BatchNormalization", "Dropout", "Identity", "Pad", "Constant", "Reshape", "Shape"}


def test_only_the_batch_is_free(model: OnnxModel) -> None:
    proto = load_proto(model)
    image = proto.graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in image] == ["batch", SIDE, SIDE, 3]
    for output in proto.graph.output:
        dims = output.type.tensor_type.shape.dim
        assert dims[0].dim_param == "batch"
        assert all(dim.dim_value > 0 for dim in list(dims)[1:])
    assert proto.opset_import[0].version == OPSET


def test_names_say_where_in_the_network_a_node_is(model: OnnxModel) -> None:
    graph = load_proto(model).graph
    names = [node.name for node in graph.node]
    assert len(set(names)) == len(names)
    assert {"backbone.conv_stem", "heads.dr", "heads.amd", "cams.dr", "cams.amd"} <= set(names)
    assert all(node.output[0] in (node.name, *(o.name for o in graph.output)) for node in graph.node)


def test_heads_are_the_only_layers_that_no_layer_follows(model: OnnxModel) -> None:
    graph = load_proto(model).graph
    connections = topology(graph)
    linear = [node for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    heads = {node.name for node in linear if is_head(node, connections)}
    assert heads == {"heads.dr", "heads.amd", "cams.dr", "cams.amd"}


def test_the_file_tells_nothing_of_the_machine_that_made_it(model: OnnxModel) -> None:
    content = model.path.read_bytes()
    for trace in (str(Path(export_module.__file__).parent), "stack_trace", "site-packages", ".py"):
        assert trace.encode() not in content


def test_exporting_again_is_silent_and_gives_the_same_graph(
    checkpoint: Checkpoint, model: OnnxModel, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = load_proto(export(checkpoint, tmp_path / "again.onnx"))
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    first = load_proto(model)
    assert again.graph.SerializeToString(deterministic=True) == first.graph.SerializeToString(deterministic=True)


def test_a_graph_that_differs_from_torch_is_refused(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = export_module.with_readable_names

    def with_a_wrong_head(proto: onnx.ModelProto) -> onnx.ModelProto:
        result = named(proto)
        bias = next(one for one in result.graph.initializer if one.name == "heads.dr.bias")
        bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32([1, 0, 0, 0, 0]), bias.name))
        return result

    monkeypatch.setattr(export_module, "with_readable_names", with_a_wrong_head)
    with pytest.raises(ParityError, match="dr_probs differs by"):
        export(checkpoint, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_the_temperature_does_not_move_the_maps(checkpoint: Checkpoint) -> None:
    network = load_network(checkpoint)
    image = torch.from_numpy(_images(1))
    with torch.no_grad():
        cold = ExportedNetwork(network, {"dr": 1.0, "amd": 1.0})(image)
        warm = ExportedNetwork(network, {"dr": 9.0, "amd": 9.0})(image)
    assert torch.equal(cold[1], warm[1])
    assert not torch.allclose(cold[0], warm[0])


@pytest.mark.slow
def test_polygraphy_finds_nothing_to_complain_about(model: OnnxModel, tmp_path: Path) -> None:
    pytest.importorskip("onnx_graphsurgeon", reason="polygraphy's linter needs onnx-graphsurgeon")
    program = "from polygraphy.tools import main; main()"
    command = [sys.executable, "-c", program, "check", "lint", str(model.path), "-o", str(tmp_path / "lint.json")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "LINT | " not in result.stdout  # how the linter starts every complaint


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "side_px"),
    [
        ("tf_efficientnet_lite0", 64),
        ("resnet50", 64),
        ("mobilenetv3_small_100", 64),
        ("inception_v3", 96),
        ("efficientnet_b0", 64),
    ],
)
def test_backbones_of_the_field_export_without_leftovers(backbone: str, side_px: int, tmp_path: Path) -> None:
    # export() itself compares with torch and refuses graphs that are not fully folded.
    model = export(_checkpoint(backbone, tmp_path, side_px), tmp_path / "model.onnx")
    convolutions = [node for node in load_proto(model).graph.node if node.op_type == "Conv"]
    if backbone.startswith("tf_"):  # SAME padding at stride 2: more after than before
        stem = next(node for node in convolutions if node.name == "backbone.conv_stem")
        assert list(next(a.ints for a in stem.attribute if a.name == "pads")) == [0, 0, 1, 1]
