"""Checkpoint -> ONNX: pixels in, calibrated probabilities, activation maps and pooled features out.

Everything that a runtime could get wrong is inside the graph: scaling, normalisation, layout, temperature, softmax.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from calibration.graphs import open_onnx_model, write_graph
from engines.graph_names import with_readable_names
from sall_edge.artifacts import FEATURES, Checkpoint, GraphManifest, Kind, OnnxModel
from sall_edge.errors import BuildError, ParityError
from sall_edge.spec import Precision, Task
from trainer.checkpoint import load_network
from trainer.network import SallNetwork

__all__ = ["OPSET", "ExportedNetwork", "export"]

OPSET = 19
"""The first whose QuantizeLinear takes FP16 scales, which an FP16 engine with INT8 convolutions needs."""

IR_VERSION = 9
"""The one that belongs to opset 19; newer ones are refused by the parsers of TensorRT 10.3 and older runtimes."""

PROBABILITY_TOLERANCE = 1e-4
"""Folded batch norms round differently; ten times what was seen on the supported backbones."""

MAP_TOLERANCE = 1e-3
"""The same for activation maps and features, relative to the largest value: they are not bounded as softmax is."""

_PARITY_BATCHES = (1, 3)
_MAX_BATCH = 4096
_LEFT_BY_FUSING = {"BatchNormalization", "Dropout", "Identity", "Pad"}


class ExportedNetwork(nn.Module):
    """What the graph computes.

    Probabilities are `softmax(logits / temperature)`, the temperature folded into the head's weights and bias.

    The activation map of a task is the *referable evidence*: a 1x1 linear map of the features whose weights are the
    mean of the head's rows of referable grades minus the mean of the other rows, without the temperature. So the
    spatial mean of the map plus the same difference of biases is the mean referable logit minus the mean non-referable
    logit: a positive place speaks for a referral.

    The pooled features are what the heads read: where a photograph lies among others (`screening.familiarity`).

    Args:
        network: The trained network.
        temperatures: Per task, what divides the logits.
    """

    def __init__(self, network: SallNetwork, temperatures: Mapping[str, float]) -> None:
        super().__init__()
        self.network = network
        self.tasks = network.tasks
        self.heads = nn.ModuleDict()
        self.cams = nn.ModuleDict()
        for task in self.tasks:
            head = network.heads[task.name]
            if not isinstance(head, nn.Linear):
                raise TypeError(f"head {task.name} is a {type(head).__name__}; an activation map needs a linear head")
            self.heads[task.name] = _divided(head, temperatures.get(task.name, 1.0))
            self.cams[task.name] = _referable_evidence(head, task)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Per task the probabilities (N, K) and the map (N, h, w), then the features (N, C), as in `output_names`."""
        features = self.network.features(image)
        pooled = features.mean(dim=(2, 3))
        outputs = []
        for task in self.tasks:
            outputs.append(torch.softmax(self.heads[task.name](pooled), dim=1))
            outputs.append(self.cams[task.name](features).squeeze(1))
        return (*outputs, pooled)

    @property
    def output_names(self) -> list[str]:
        """Names of the graph's outputs, in order."""
        return [*(f"{task.name}_{what}" for task in self.tasks for what in ("probs", "cam")), FEATURES]


def export(checkpoint: Checkpoint, path: Path) -> OnnxModel:
    """The checkpoint's network as an ONNX graph, checked against torch.

    Batch norms are folded, paddings stand in the convolutions (asymmetric ones too), height and width are fixed, the
    batch is free. The parent in its manifest is the checkpoint.

    Raises:
        ArtefactForeign: The checkpoint's weights do not fit its manifest.
        BuildError: The exporter cannot express the network.
        ParityError: ONNX Runtime and torch differ by more than the tolerances.
        OutputError: The file cannot be written.
    """
    manifest = checkpoint.manifest
    module = ExportedNetwork(load_network(checkpoint), manifest.temperatures).eval()
    proto = _traced(module, manifest.image.side_px, manifest.backbone)
    differences = _checked(module, proto, manifest.image.side_px)
    provenance = {
        "backbone": manifest.backbone,
        "opset": OPSET,
        "torch": torch.__version__,
        "onnx": onnx.__version__,
        "largest_difference_to_torch": differences,
    }
    graph_manifest = GraphManifest(
        kind=Kind.ONNX,
        image=manifest.image,
        tasks=manifest.tasks,
        operating_points=manifest.operating_points,
        parent_sha256=checkpoint.sha256,
        precision=Precision.FP32,
        provenance=provenance,
    )
    write_graph(proto, graph_manifest, path)
    return open_onnx_model(path)


def _divided(head: nn.Linear, temperature: float) -> nn.Linear:
    folded = nn.Linear(head.in_features, head.out_features)
    with torch.no_grad():
        folded.weight.copy_(head.weight / temperature)
        folded.bias.copy_(head.bias / temperature)
    return folded


def _referable_evidence(head: nn.Linear, task: Task) -> nn.Conv2d:
    cam = nn.Conv2d(head.in_features, 1, kernel_size=1, bias=False)
    with torch.no_grad():
        referable = head.weight[task.referable_from :].mean(dim=0)
        other = head.weight[: task.referable_from].mean(dim=0)
        cam.weight.copy_((referable - other).reshape(1, -1, 1, 1))
    return cam


def _traced(module: ExportedNetwork, side_px: int, backbone: str) -> onnx.ModelProto:
    """The optimised graph. Batch norms and pads are folded by onnxscript's optimiser."""
    # A batch of 1 would become a constant of the graph.
    example = torch.zeros(2, side_px, side_px, 3, dtype=torch.uint8)
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=["image"],
                output_names=module.output_names,
                dynamic_shapes={"image": {0: torch.export.Dim("batch", min=1, max=_MAX_BATCH)}},
                optimize=True,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as cause:
        reason = str(cause).strip().splitlines()[-1]
        raise BuildError(f"{backbone} cannot be exported", reason, "choose another backbone") from cause
    if program is None:
        raise BuildError(f"{backbone} cannot be exported", "the exporter gave no program", "install torch 2.6 or newer")
    proto = with_readable_names(program.model_proto)
    proto.ir_version = IR_VERSION
    if left := sorted({node.op_type for node in proto.graph.node} & _LEFT_BY_FUSING):
        why = f"{', '.join(left)} nodes are left, and between Q/DQ and a convolution they would make it float"
        raise BuildError(f"the graph of {backbone} is not fully folded", why, "install onnxscript 0.5 or newer")
    onnx.checker.check_model(proto, full_check=True)
    return proto


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter talks through warnings and loggers about its own insides."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _checked(module: ExportedNetwork, proto: onnx.ModelProto, side_px: int) -> dict[str, float]:
    """The largest difference of every output to torch, on noise, a gradient and a black square.

    Raises:
        ParityError: A difference is beyond its tolerance.
    """
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    largest = dict.fromkeys(module.output_names, 0.0)
    for batch in _PARITY_BATCHES:
        images = _squares(batch, side_px)
        with torch.no_grad():
            expected = [output.numpy() for output in module(torch.from_numpy(images))]
        got = session.run(module.output_names, {"image": images})
        for name, wanted, result in zip(module.output_names, expected, got, strict=True):
            scale = 1.0 if name.endswith("_probs") else max(1.0, float(np.abs(wanted).max()))
            # A NaN must not pass: max() with a NaN on the right would keep the smaller value.
            difference = float(np.nan_to_num(np.abs(wanted - result), nan=np.inf).max()) / scale
            largest[name] = max(largest[name], difference)
    for name, difference in largest.items():
        tolerance = PROBABILITY_TOLERANCE if name.endswith("_probs") else MAP_TOLERANCE
        if difference > tolerance:
            raise ParityError(
                f"{name} differs by {difference:.3g} between torch and the exported graph",
                f"the tolerance is {tolerance:g} over batches of {_PARITY_BATCHES}",
                "check that the network is finite and in evaluation mode; report the backbone and the versions",
            )
    return {name: float(f"{difference:.2g}") for name, difference in largest.items()}


def _squares(batch: int, side_px: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    noise = np.random.default_rng(batch).integers(0, 256, (batch, side_px, side_px, 3), dtype=np.uint8)
    noise[batch // 2, :, :, :] = np.linspace(0, 255, side_px).astype(np.uint8)[None, :, None]
    if batch > 1:
        noise[-1] = 0
    return noise
