"""Names in an exported graph that say where in the network a node comes from."""

import ast
from collections import Counter

import onnx

__all__ = ["with_readable_names"]

_SCOPES = "pkg.torch.onnx.name_scopes"
_WRAPPER = "network."


def with_readable_names(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose nodes and tensors are named by module, with nothing of the machine that exported it.

    A layer with weights is named by its module (`backbone.conv_stem`), everything else by module and operator
    (`backbone.bn1.act.Clip`). The first output of a node has the node's name; graph inputs and outputs keep theirs.
    The exporter's metadata goes: it holds stack traces with the paths of the exporting machine.
    """
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    graph = result.graph
    graph.name = "sall"
    fixed = {value.name for value in (*graph.input, *graph.output)}
    tensors = {initializer.name: initializer.name.removeprefix(_WRAPPER) for initializer in graph.initializer}
    used: Counter[str] = Counter([*fixed, *tensors.values()])
    for node in graph.node:
        node.name = _unique(_place(node, tensors), used)
        for index, output in enumerate(node.output):
            if output not in fixed:
                tensors[output] = node.name if index == 0 else f"{node.name}.{index}"
    for node in graph.node:
        node.input[:] = [tensors.get(name, name) for name in node.input]
        node.output[:] = [tensors.get(name, name) for name in node.output]
        node.doc_string = ""
        del node.metadata_props[:]
    for initializer in graph.initializer:
        initializer.name = tensors[initializer.name]
        initializer.doc_string = ""
        del initializer.metadata_props[:]
    _clear_descriptions(result)
    return result


def _place(node: onnx.NodeProto, tensors: dict[str, str]) -> str:
    weights = [tensors[name] for name in node.input if name in tensors and name.endswith(".weight")]
    if weights:
        return weights[0].removesuffix(".weight")
    scopes = next((entry.value for entry in node.metadata_props if entry.key == _SCOPES), "[]")
    # The list ends with the exporter's own name of the operation; what stands before it are modules, outermost first.
    modules = [module for module in ast.literal_eval(scopes)[:-1] if module]
    place = str(modules[-1]).removeprefix(_WRAPPER) if modules else ""
    return f"{place}.{node.op_type}" if place else node.op_type


def _unique(name: str, used: Counter[str]) -> str:
    used[name] += 1
    if used[name] == 1:
        return name
    return _unique(f"{name}_{used[name]}", used)


def _clear_descriptions(proto: onnx.ModelProto) -> None:
    graph = proto.graph
    proto.producer_name = "sall-edge"
    proto.producer_version = ""
    proto.doc_string = ""
    graph.doc_string = ""
    del proto.metadata_props[:]
    del graph.metadata_props[:]
    # Shapes of inner tensors are for the old names; whoever needs them infers them.
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        value.doc_string = ""
        del value.metadata_props[:]
