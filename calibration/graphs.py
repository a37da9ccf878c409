"""Graph files: ONNX with the project's manifest inside, opened only when they keep the contract.

The contract: one input `image`, (N, side, side, 3) uint8; per task `<task>_probs`, (N, K) float32, and `<task>_cam`,
(N, h, w) float32; and `features`, (N, C) float32, which graphs of earlier versions lack. The manifest is JSON in the
file's metadata, so a graph is a single file that any ONNX tool reads.
"""

import hashlib
from datetime import datetime, timezone
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types

from sall_edge.artifacts import FEATURES, GraphManifest, Kind, OnnxModel, QdqModel, manifest_from_json
from sall_edge.errors import ArtefactForeign, ArtefactMissing
from sall_edge.writing import file_being_written

__all__ = ["MANIFEST_KEY", "load_proto", "open_onnx_model", "open_qdq_model", "write_graph"]

MANIFEST_KEY = "sall_edge.manifest"
_EXPORT = "make the graph with: sall-edge export CHECKPOINT -o model.onnx"
_CALIBRATE = "make the graph with: sall-edge calibrate model.onnx --labels CSV -o qdq.onnx"


def open_onnx_model(path: Path) -> OnnxModel:
    """The FP32 graph in a file.

    Raises:
        ArtefactMissing: There is no such file.
        ArtefactForeign: It is no ONNX, or not an FP32 graph of this project.
    """
    manifest, digest = _open(path, Kind.ONNX, _EXPORT)
    return OnnxModel(path=path, manifest=manifest, sha256=digest)


def open_qdq_model(path: Path) -> QdqModel:
    """The quantized graph in a file.

    Raises:
        ArtefactMissing: There is no such file.
        ArtefactForeign: It is no ONNX, or not a Q/DQ graph of this project.
    """
    manifest, digest = _open(path, Kind.QDQ, _CALIBRATE)
    return QdqModel(path=path, manifest=manifest, sha256=digest)


def load_proto(model: OnnxModel | QdqModel) -> onnx.ModelProto:
    """The graph of an opened artefact, ready to be edited.

    Raises:
        ArtefactMissing: The file has gone.
        ArtefactForeign: The file is no ONNX, or no longer the one that was opened.
    """
    proto, digest = _read(model.path, _EXPORT)
    if digest != model.sha256:
        what, why = f"{model.path} changed", f"its sha256 is {digest[:16]}…, it was {model.sha256[:16]}… when opened"
        raise ArtefactForeign(what, why, "open it again, and make everything that follows from it again")
    return proto


def write_graph(proto: onnx.ModelProto, manifest: GraphManifest, path: Path) -> None:
    """Writes the graph with its manifest; equal graphs and manifests give equal bytes.

    Args:
        proto: The graph; its metadata is replaced in the file, the argument stays as it is.
        manifest: When its `created` is empty, the time is filled in.
        path: Replaced in one step.

    Raises:
        OutputError: The place cannot be written.
    """
    created = manifest.created or datetime.now(timezone.utc).isoformat(timespec="seconds")
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    del copy.metadata_props[:]
    entry = copy.metadata_props.add()
    entry.key = MANIFEST_KEY
    entry.value = manifest.model_copy(update={"created": created}).model_dump_json()
    with file_being_written(path) as temporary:
        temporary.write_bytes(copy.SerializeToString(deterministic=True))


def _open(path: Path, kind: Kind, fix: str) -> tuple[GraphManifest, str]:
    proto, digest = _read(path, fix)
    texts = [entry.value for entry in proto.metadata_props if entry.key == MANIFEST_KEY]
    if not texts:
        raise ArtefactForeign(f"{path} was not made by sall-edge", f"its metadata has no {MANIFEST_KEY}", fix)
    manifest = manifest_from_json(texts[0], GraphManifest, path)
    if manifest.kind is not kind:
        raise ArtefactForeign(f"{path} is of the kind {manifest.kind.value}", f"{kind.value} is needed here", fix)
    if problems := _breaches(proto.graph, manifest):
        raise ArtefactForeign(f"{path} breaks the contract of graphs", "; ".join(problems), fix)
    return manifest, digest


def _read(path: Path, fix: str) -> tuple[onnx.ModelProto, str]:
    try:
        content = path.read_bytes()
    except FileNotFoundError as cause:
        raise ArtefactMissing(f"{path} is missing", "there is no such file", "check the path, or " + fix) from cause
    except OSError as cause:
        raise ArtefactForeign(f"cannot read {path}", cause.strerror or str(cause), fix) from cause
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except DecodeError as cause:
        raise ArtefactForeign(f"{path} is not an ONNX file", str(cause), fix) from cause
    if not proto.graph.node:
        raise ArtefactForeign(f"{path} is not an ONNX file", "it holds no graph", fix)
    return proto, hashlib.sha256(content).hexdigest()


def _breaches(graph: onnx.GraphProto, manifest: GraphManifest) -> list[str]:
    """What inputs and outputs have that the contract does not allow; a string in a shape stands for any size."""
    side = manifest.image.side_px
    constants = {tensor.name for tensor in graph.initializer}
    wanted: dict[str, tuple[int, list[int | str]]] = {}
    for task in manifest.tasks:
        wanted[f"{task.name}_probs"] = (onnx.TensorProto.FLOAT, ["N", len(task.grades)])
        wanted[f"{task.name}_cam"] = (onnx.TensorProto.FLOAT, ["N", "h", "w"])
    if any(value.name == FEATURES for value in graph.output):
        wanted[FEATURES] = (onnx.TensorProto.FLOAT, ["N", "C"])
    inputs = [value for value in graph.input if value.name not in constants]
    return [
        *_differences("input", inputs, {"image": (onnx.TensorProto.UINT8, ["N", side, side, 3])}),
        *_differences("output", list(graph.output), wanted),
    ]


def _differences(
    role: str, values: list[onnx.ValueInfoProto], wanted: dict[str, tuple[int, list[int | str]]]
) -> list[str]:
    present = {value.name: value.type.tensor_type for value in values}
    problems = []
    if present.keys() != wanted.keys():
        problems.append(f"its {role}s are {', '.join(sorted(present)) or 'none'}, not {', '.join(sorted(wanted))}")
    for name in present.keys() & wanted.keys():
        dtype, shape = wanted[name]
        sizes = [dim.dim_value for dim in present[name].shape.dim]
        fits = len(sizes) == len(shape) and all(w == s for w, s in zip(shape, sizes, strict=True) if isinstance(w, int))
        if present[name].elem_type != dtype or not fits:
            type_name = onnx.TensorProto.DataType.Name(present[name].elem_type)
            problems.append(
                f"{role} {name} is {type_name} {sizes}, not {onnx.TensorProto.DataType.Name(dtype)} {shape}"
            )
    return sorted(problems)
