"""Weights as whole multiples of a scale, which is what INT8 stores."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from calibration.histograms import LEVELS
from calibration.placement import place, topology

__all__ = ["SMALLEST_SCALE", "is_on_grid", "quantized_weights"]

SMALLEST_SCALE = np.float32(2.0**-20)
"""A channel of zeros still needs a scale above zero, one that FP16 can hold."""

_EXACT = 1e-2
"""Of a step. Folding a batch normalisation into float32 weights moves them by less than a thousandth."""


def is_on_grid(proto: onnx.ModelProto) -> bool:
    """Whether INT8 stores the weights of this FP32 graph without an error, as after `sall-edge train --finetune-int8`.

    Args:
        proto: The FP32 graph.
    """
    connections = topology(proto.graph)
    nodes = {node.name: node for node in proto.graph.node}
    return all(
        _is_exact(numpy_helper.to_array(connections.constants[name]), nodes[layer])
        for name, layer in place(proto.graph).weights.items()
    )


def _is_exact(weight: NDArray[np.float32], layer: onnx.NodeProto) -> bool:
    quantized, scale = quantized_weights(weight, layer)
    shaped = scale.reshape(-1, *[1] * (weight.ndim - 1)) if scale.ndim else scale
    steps_off = np.abs(weight / shaped - quantized) * (shaped > SMALLEST_SCALE)  # filters of next to nothing may miss
    return bool(steps_off.max() < _EXACT)


def quantized_weights(
    weight: NDArray[np.float32], layer: onnx.NodeProto
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric int8 weights and their scale: (output channels,), or 0-d where axis 0 is not the output channel."""
    if _has_output_channels_first(layer):
        amax = np.abs(weight).reshape(weight.shape[0], -1).max(axis=1)
    else:
        amax = np.abs(weight).max()
    scale = np.maximum(np.asarray(amax, np.float32) / np.float32(LEVELS), SMALLEST_SCALE)
    shaped = scale.reshape(-1, *[1] * (weight.ndim - 1)) if scale.ndim else scale
    quantized = np.clip(np.rint(weight / shaped), -LEVELS, LEVELS).astype(np.int8)
    return quantized, scale


def _has_output_channels_first(layer: onnx.NodeProto) -> bool:
    if layer.op_type == "Gemm":
        return any(a.name == "transB" and a.i == 1 for a in layer.attribute)
    return layer.op_type == "Conv"
