"""The INT8 side of a network computes what the Q/DQ graph of the same network computes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from calibration.graphs import load_proto, open_onnx_model, write_graph
from calibration.grid import is_on_grid
from calibration.layers import Int8Layer, int8_layers
from calibration.quantize import with_qdq
from calibration.ranges import measure_ranges
from calibration.recentre import recentred
from calibration.sessions import open_inner_session
from calibration.spread import spread
from engines.export import export
from sall_edge.artifacts import Checkpoint, OnnxModel
from sall_edge.errors import TrainingError
from sall_edge.spec import ImageSpec, TaskSet
from trainer.checkpoint import load_network, save_checkpoint
from trainer.int8 import Int8View
from trainer.network import SallNetwork

SIDE = 64
BLOCKS = {
    "tf_efficientnet_lite0": ("backbone.blocks.0.0.conv_pw", "backbone.blocks.0.0"),
    "resnet18": ("backbone.layer1.0.act2.Relu", "backbone.layer1.0"),
}
"""Backbone to a tensor and the module that makes it, early: where values lie on an edge between two steps, the last bit
of a sum decides, and a random network turns that into noise within a few blocks."""


@pytest.fixture(scope="module")
def squares() -> Tensor:
    return torch.randint(0, 256, (16, SIDE, SIDE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=BLOCKS)
def checkpoint(
    request: pytest.FixtureRequest, squares: Tensor, tmp_path_factory: pytest.TempPathFactory, tasks: TaskSet
):
    """Untrained, with settled batch statistics: with residual additions, with and without bounded maps."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SallNetwork(backbone=request.param, tasks=tasks.tasks, mean=(0.5,) * 3, std=(0.5,) * 3).train()
        with torch.no_grad():
            for module in network.modules():
                if isinstance(module, nn.BatchNorm2d):  # timm silences some at first
                    module.weight.uniform_(0.5, 1.5)
                    module.bias.uniform_(-0.5, 0.5)
            for _ in range(20):
                network(squares)
    return _saved(network, tmp_path_factory.mktemp("int8") / "checkpoint")


@pytest.fixture(scope="module")
def model(checkpoint: Checkpoint) -> OnnxModel:
    return export(checkpoint, checkpoint.path.with_name("model.onnx"))


@pytest.fixture(scope="module")
def layers(model: OnnxModel, squares: Tensor) -> dict[str, Int8Layer]:
    return int8_layers(model, list(squares.numpy()))


def _saved(network: SallNetwork, path: Path) -> Checkpoint:
    points = {task.name: 0.5 for task in network.tasks}
    return save_checkpoint(
        path,
        network,
        image=ImageSpec(side_px=SIDE),
        tasks=network.tasks,
        operating_points=points,
        temperatures=dict.fromkeys(points, 1.0),
        provenance={},
    )


def _features(network: SallNetwork, squares: Tensor) -> np.ndarray:
    with torch.no_grad():
        return network.pooled(squares).numpy()


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


@pytest.mark.slow
def test_what_is_left_has_weights_on_the_grid_and_the_view_rounds_what_its_qdq_graph_rounds(
    checkpoint: Checkpoint, layers: dict[str, Int8Layer], squares: Tensor, tmp_path: Path
) -> None:
    network = load_network(checkpoint)
    Int8View(network, layers, squares[:2])
    exact = _features(network, squares)
    Int8View.leave(network)
    assert network.state_dict().keys() == load_network(checkpoint).state_dict().keys()
    assert np.allclose(_features(network, squares), exact, atol=1e-4 * np.abs(exact).max())
    left = _saved(network, tmp_path / "checkpoint")
    model = export(left, tmp_path / "model.onnx")
    assert is_on_grid(load_proto(model))
    again = spread(load_proto(model), list(squares.numpy()))  # as the next view does it
    write_graph(again, model.manifest, tmp_path / "spread.onnx")
    proto = recentred(again)
    ranges = measure_ranges(open_onnx_model(tmp_path / "spread.onnx"), list(squares.numpy()))
    assert ranges.channels == {}
    tensor, block = BLOCKS[network.backbone_name]
    graphs = (with_qdq(proto, ranges.amax), proto)
    with_int8, without = (
        open_inner_session(one, [tensor]).run([tensor], {"image": squares.numpy()})[0] for one in graphs
    )
    network = load_network(left)
    view = Int8View(network, int8_layers(model, list(squares.numpy())), squares[:2])
    outputs: list[np.ndarray] = []
    network.get_submodule(block).register_forward_hook(lambda module, inputs, output: outputs.append(output.numpy()))
    with view.on():
        _features(network, squares)
    effect = _rms(with_int8 - without)
    assert effect > 0
    assert _rms(outputs[0] - with_int8) < 0.2 * effect


@pytest.mark.slow
def test_gradients_pass_the_rounding_and_statistics_stay(
    checkpoint: Checkpoint, layers: dict[str, Int8Layer], squares: Tensor
) -> None:
    network = load_network(checkpoint)
    view = Int8View(network, layers, squares[:2])
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    network.train()
    with view.on():
        network.pooled(squares[:4]).square().mean().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    learning = [p for name, p in network.backbone.named_parameters() if "original" in name and p.requires_grad]
    assert len(learning) == len(layers)
    learning += [
        p for module in network.backbone.modules() if isinstance(module, nn.BatchNorm2d) for p in module.parameters()
    ]
    assert len(learning) == 3 * len(layers)
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in learning)
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())


def test_a_layer_that_is_no_convolution_is_refused(network: SallNetwork) -> None:
    layer = Int8Layer(weight=np.zeros((1, 1), np.float32), bias=None, step=1.0, centre=0.0)
    with pytest.raises(TrainingError, match="cannot be fine-tuned for INT8"):
        Int8View(network, {"heads.red": layer}, torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8))
