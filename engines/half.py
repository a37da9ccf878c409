"""An FP32 graph in FP16 arithmetic, for strongly typed compilers: precision stands in the graph.

Inputs stay uint8 and outputs float32. Weights below 1e-7, which FP16 cannot hold, are rounded up to it.
"""

import warnings
from pathlib import Path

import onnx
from onnxconverter_common import float16

__all__ = ["write_fp16"]


def write_fp16(graph: Path, place: Path) -> None:
    """Writes the FP16 graph; its weights take half the room.

    Args:
        graph: FP32 ONNX; input `image`, (N, side, side, 3) uint8.
        place: The file to write.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the float32 number .* will be truncated", category=UserWarning)
        proto = float16.convert_float_to_float16(onnx.load(graph), keep_io_types=True)
    # The converter leaves casts as they are; the one behind the pixels would feed floats to FP16 arithmetic.
    for node in proto.graph.node:
        if node.op_type == "Cast" and node.input[0] == "image":
            del node.attribute[:]
            node.attribute.append(onnx.helper.make_attribute("to", onnx.TensorProto.FLOAT16))
    onnx.save(proto, place)
