"""What the inner tensors of a graph hold."""

from collections.abc import Sequence

import onnx
import onnxruntime

__all__ = ["open_inner_session"]


def open_inner_session(proto: onnx.ModelProto, tensors: Sequence[str]) -> onnxruntime.InferenceSession:
    """ONNX Runtime on a copy of a graph whose only outputs are these tensors."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors)
    return onnxruntime.InferenceSession(copy.SerializeToString(), providers=["CPUExecutionProvider"])
