"""What a compiler of NVIDIA made of every convolution: read from TensorRT's inspector or from TensorRT-RTX's log.

Without a GPU no plan can be inspected, but TensorRT-RTX writes the same facts into its verbose log.
"""

import json
import re

from engines.compiled import KernelReport, words

__all__ = ["kernels_from_inspector", "kernels_from_log", "layers_from_log"]

_DTYPES = {"Int8": "int8", "Half": "fp16", "FP16": "fp16", "Float": "fp32", "FP32": "fp32"}
_LAYER = re.compile(r"Name: (\S+), LayerType: (?:correlation|gemm), Inputs: \[ \{[^}]*?Datatype: (\w+)")
_COMPILER_SUFFIX = re.compile(r"_myl\d+_\d+$")
_PRODUCT = re.compile(r"convolution|correlation|gemm|matrixmultiply|matmul", re.IGNORECASE)
_DTYPE_WORD = re.compile(r"\b(Int8|Half|FP16|Float|FP32|BF16|FP8|Int4)\b")


def layers_from_log(lines: list[str]) -> str:
    """TensorRT-RTX's own list of layers; empty when the log has none, as TensorRT's does."""
    return next((text for text in lines if text.startswith("Layers:")), "")


def kernels_from_log(lines: list[str]) -> KernelReport:
    """The kernels that TensorRT-RTX names in its verbose log; empty for TensorRT, which writes another log."""
    matches = (_LAYER.match(line) for line in layers_from_log(lines).splitlines())
    return words(((_COMPILER_SUFFIX.sub("", match[1]), match[2]) for match in matches if match), _DTYPES)


def kernels_from_inspector(information: str) -> KernelReport:
    """The kernels of a plan, as TensorRT's engine inspector describes them.

    Args:
        information: `EngineInspector.get_engine_information(LayerInformationFormat.JSON)` of a plan that was built with
            ProfilingVerbosity.DETAILED. A convolution's first input says what it reads.
    """
    layers = json.loads(information).get("Layers", [])
    kernels = []
    for layer in layers:
        # Below DETAILED a layer is its bare name. What has no input is a constant.
        if isinstance(layer, dict) and _PRODUCT.search(layer.get("LayerType", "")) and layer.get("Inputs"):
            read = layer["Inputs"][0]
            found = _DTYPE_WORD.search(f"{read.get('Datatype', '')} {read.get('Format/Datatype', '')}")
            kernels.append((layer.get("Name", "unnamed"), found[1] if found else "unknown"))
    return words(kernels, _DTYPES)
