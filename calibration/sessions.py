"""What the inner tensors of a graph hold."""

from collections.abc import Sequence

import onnx
import onnxruntime

__all__ = ["open_inner_session"]


def open_inner_session(
    proto: onnx.ModelProto, tensors: Sequence[str], *, threads: int = 0
) -> onnxruntime.InferenceSession:
    """ONNX Runtime on a copy of a graph whose only outputs are these tensors; 0 threads: one a core."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(copy.SerializeToString(), options, providers=["CPUExecutionProvider"])
