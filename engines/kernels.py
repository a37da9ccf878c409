"""What NVIDIA's compiler made of every convolution and matrix product: from TensorRT's inspector or TensorRT-RTX's log.

Without a GPU no plan can be inspected, but TensorRT-RTX writes the same facts into its verbose log. A kernel may hold
several layers (two heads that read the same features), or stand under a name of the compiler's own (`__myl_FcAddRelu`,
a fusion that is generated when the plan is loaded). So kernels are found by the layers that they say they compute, and
a layer that no kernel names is in the report all the same.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from engines.compiled import Kernel, KernelReport

if TYPE_CHECKING:
    import tensorrt as trt

__all__ = ["NOT_NAMED", "kernels_from_inspector", "kernels_from_log", "layers_from_log", "linear_layers"]

NOT_NAMED = "not in the log"
"""Dtype of a layer that no kernel names: folded away, or computed by something that this project does not know."""

_DTYPES = {"Int8": "int8", "Half": "fp16", "FP16": "fp16", "Float": "fp32", "FP32": "fp32"}
_KERNEL = re.compile(
    r"Name: (?P<name>\S+), LayerType: (?:correlation|gemm|runtime_fusion), "
    r"Inputs: (?P<inputs>.*?), Constants: (?P<constants>.*?), Outputs: "
)
_DTYPE = re.compile(r"Datatype: (\w+)")
_DTYPE_WORD = re.compile(r"\b(Int8|Half|FP16|Float|FP32|BF16|FP8|Int4)\b")
_LAYER = re.compile(r"\[ONNX Layer: ([^\]]+)\]")
_LINEAR_KIND = re.compile(r"convolution|correlation|gemm|matrixmultiply|matmul|runtime_fusion", re.IGNORECASE)


def linear_layers(trt: Any, network: "trt.INetworkDefinition") -> tuple[str, ...]:
    """Names of a parsed graph's convolutions and matrix products, which are those of its ONNX nodes."""
    kinds = (trt.LayerType.CONVOLUTION, trt.LayerType.MATRIX_MULTIPLY)
    layers = (network.get_layer(index) for index in range(network.num_layers))
    return tuple(layer.name for layer in layers if layer.type in kinds)


def layers_from_log(lines: Iterable[str]) -> str:
    """TensorRT-RTX's own list of layers; empty when the log has none, as TensorRT's."""
    return next((text for text in lines if text.startswith("Layers:")), "")


def kernels_from_log(lines: Iterable[str], layers: Iterable[str]) -> KernelReport:
    """One entry a kernel, named by the layers that it computes, joined with "+"; then the layers that none names.

    A kernel has one dtype when its input and its weights agree, else both: "int8 with fp16 weights". The report is
    empty when the log lists no layers, as TensorRT's does.

    Args:
        lines: Texts of TensorRT-RTX's log, one an event.
        layers: See `linear_layers`.
    """
    dump = layers_from_log(lines)
    return _report(_from_log(dump, frozenset(wanted := tuple(layers))), wanted) if dump else KernelReport()


def kernels_from_inspector(information: str, layers: Iterable[str]) -> KernelReport:
    """The same of a plan, as TensorRT's engine inspector describes it; empty when it knows names only.

    Args:
        information: `EngineInspector.get_engine_information(LayerInformationFormat.JSON)` of a plan that was built with
            ProfilingVerbosity.DETAILED. A convolution's first input says what it reads.
        layers: See `linear_layers`.
    """
    described = [layer for layer in json.loads(information).get("Layers", []) if isinstance(layer, dict)]
    return (
        _report(_from_inspector(described, frozenset(wanted := tuple(layers))), wanted) if described else KernelReport()
    )


def _report(kernels: Iterable[Kernel], layers: tuple[str, ...]) -> KernelReport:
    found = list(kernels)
    named = {layer for kernel in found for layer in kernel.name.split("+")}
    lost = [Kernel(name=layer, dtype=NOT_NAMED) for layer in layers if layer not in named]
    return KernelReport((*found, *lost))


def _from_log(dump: str, layers: frozenset[str]) -> Iterator[Kernel]:
    for line in dump.splitlines():
        match = _KERNEL.match(line)
        if match and (computed := [layer for layer in _LAYER.findall(line) if layer in layers]):
            dtype = _dtype(match["inputs"], match["constants"])
            yield Kernel(name="+".join(dict.fromkeys(computed)), dtype=dtype)


def _dtype(inputs: str, constants: str) -> str:
    reads, weights = (_DTYPE.findall(text) for text in (inputs, constants))
    words = [_DTYPES.get(found[0], found[0]) for found in (reads, weights) if found]
    if not words:
        return NOT_NAMED
    return words[0] if words[0] == words[-1] else f"{words[0]} with {words[-1]} weights"


def _from_inspector(described: list[dict[str, Any]], layers: frozenset[str]) -> Iterator[Kernel]:
    for layer in described:
        if not (_LINEAR_KIND.search(layer.get("LayerType", "")) and layer.get("Inputs")):  # a constant has no input
            continue
        # Versions without metadata join the names of what they fused: "node_stem + node_relu".
        names = _LAYER.findall(layer.get("Metadata", "")) or layer.get("Name", "").split(" + ")
        if computed := [name for name in names if name in layers]:
            read = layer["Inputs"][0]
            word = _DTYPE_WORD.search(f"{read.get('Datatype', '')} {read.get('Format/Datatype', '')}")
            dtype = _DTYPES.get(word[1], word[1]) if word else NOT_NAMED
            yield Kernel(name="+".join(dict.fromkeys(computed)), dtype=dtype)
