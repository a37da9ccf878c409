"""What one stage hands to the next: a path, a manifest, the hash of itself and of its parent.

Checkpoints and engines are folders: their files, `manifest.json` with the hash of every file, and `signature` with
the hash of the manifest. Graphs are single ONNX files that carry their manifest as metadata (`calibration.graphs`
reads it, because that takes the onnx package). `writing` puts them in their place.
"""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from sall_edge.errors import ArtefactChanged, ArtefactForeign, ArtefactMissing
from sall_edge.spec import ImageSpec, Precision, Spec, TargetSpec, Task, broken_rules

__all__ = [
    "FEATURES",
    "FORMAT_VERSION",
    "Checkpoint",
    "CheckpointManifest",
    "Engine",
    "EngineManifest",
    "GraphManifest",
    "Manifest",
    "OnnxModel",
    "QdqModel",
    "manifest_from_json",
    "open_checkpoint",
    "open_engine",
    "seal",
    "sha256_of_file",
]

FORMAT_VERSION = 1

FEATURES = "features"
"""A graph's output beside those of its tasks; graphs that were exported before it was thought of have none."""
MANIFEST_NAME = "manifest.json"
SIGNATURE_NAME = "signature"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


class Kind(str, Enum):
    """Which artefact a manifest belongs to."""

    CHECKPOINT = "checkpoint"
    ONNX = "onnx"
    QDQ = "qdq"
    ENGINE = "engine"


_WRITTEN_BY = {Kind.CHECKPOINT: "train", Kind.ONNX: "export", Kind.QDQ: "calibrate", Kind.ENGINE: "build"}


class Manifest(Spec):
    """What every artefact says of itself.

    Attributes:
        kind: Which artefact this is.
        format_version: Version of this project's file formats.
        created: UTC, ISO 8601.
        image: The preprocessing that the network was trained with.
        tasks: The tasks, in output order.
        operating_points: Per task, the least probability of a referable grade that is called referable.
        parent_sha256: Hash of the artefact that this one was made from.
        files: For folders, the sha256 of every other file, by name.
        provenance: How it was made: options, versions, measurements. Free, for people.
    """

    kind: Kind
    format_version: int = FORMAT_VERSION
    created: str = ""
    image: ImageSpec
    tasks: tuple[Task, ...]
    operating_points: dict[str, float]
    parent_sha256: str | None = None
    files: dict[str, str] = {}
    provenance: dict[str, Any] = {}


class CheckpointManifest(Manifest):
    """A trained network.

    Attributes:
        backbone: timm name.
        mean, std: Normalisation of pixels in 0..1, per RGB channel.
        temperatures: Per task, what divides the logits before the softmax; 1 unless calibrated.
    """

    kind: Kind = Kind.CHECKPOINT
    backbone: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    temperatures: dict[str, float]


class GraphManifest(Manifest):
    """An ONNX graph (`kind` says whether it is quantized), stored in the file's metadata."""

    precision: Precision = Precision.FP32


class EngineManifest(Manifest):
    """A compiled engine.

    Attributes:
        target: The device that it was built for.
        precision: Arithmetic of its convolutions.
        backend_version: Version of the library that compiled it.
        blob: Name of the compiled file in the folder.
        golden_square: Coarse means of a known photograph's prepared square, see `fundus.prepare.golden_square`.
    """

    kind: Kind = Kind.ENGINE
    target: TargetSpec
    precision: Precision
    backend_version: str
    blob: str
    golden_square: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A trained network on disk: a folder with `weights.safetensors`."""

    path: Path
    manifest: CheckpointManifest
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxModel:
    """An FP32 graph, pixels in, probabilities, activation maps and features out."""

    path: Path
    manifest: GraphManifest
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QdqModel:
    """The same graph with explicit INT8 quantization, linted."""

    path: Path
    manifest: GraphManifest
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A bundle folder: manifest, graphs, compiled blob."""

    path: Path
    manifest: EngineManifest
    sha256: str

    @property
    def blob_path(self) -> Path:
        """The compiled file."""
        return self.path / self.manifest.blob

    @property
    def reference_path(self) -> Path:
        """The FP32 graph that the engine is measured against."""
        return self.path / "model.onnx"


ManifestT = TypeVar("ManifestT", bound=Manifest)


def sha256_of_file(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def manifest_from_json(text: str | bytes, model: type[ManifestT], origin: Path) -> ManifestT:
    """The manifest that `text` holds.

    Raises:
        ArtefactForeign: It is no manifest, of another kind, or of another format version.
    """
    rebuild = "make it again with this version of sall-edge"
    try:
        content = json.loads(text)
        version = content["format_version"]
    except (ValueError, KeyError, TypeError) as cause:
        raise ArtefactForeign(f"{origin} has no sall-edge manifest", f"{cause!r}", rebuild) from cause
    if version != FORMAT_VERSION:
        raise ArtefactForeign(f"{origin} has format {version}", f"this version reads format {FORMAT_VERSION}", rebuild)
    wanted, found = model.model_fields["kind"].default, content.get("kind")
    if isinstance(wanted, Kind) and found in set(Kind) and found != wanted:
        fix = f"give the folder that sall-edge {_WRITTEN_BY[wanted]} wrote"
        raise ArtefactForeign(f"{origin} is no {wanted.value}", f"it is of the kind {found}", fix)
    try:
        return model.model_validate(content)
    except ValidationError as cause:
        raise ArtefactForeign(f"{origin} is not a {model.__name__}", broken_rules(cause), rebuild) from cause


def seal(folder: Path, manifest: ManifestT) -> ManifestT:
    """Writes `manifest.json` with the hash of every file in the folder, and `signature`; returns the manifest."""
    files = {file.name: sha256_of_file(file) for file in sorted(folder.iterdir())}
    sealed = manifest.model_copy(update={"files": files, "created": manifest.created or _now()})
    text = sealed.model_dump_json(indent=2)
    (folder / MANIFEST_NAME).write_text(text, encoding="utf-8")
    signature = {"manifest_sha256": hashlib.sha256(text.encode()).hexdigest()}
    (folder / SIGNATURE_NAME).write_text(json.dumps(signature), encoding="utf-8")
    return sealed


def open_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a folder, every byte verified.

    Raises:
        ArtefactMissing, ArtefactChanged, ArtefactForeign: See `errors`.
    """
    manifest, digest = _open_folder(path, CheckpointManifest)
    return Checkpoint(path=path, manifest=manifest, sha256=digest)


def open_engine(path: Path) -> Engine:
    """The engine in a bundle folder, every byte verified before anything is deserialised.

    Raises:
        ArtefactMissing, ArtefactChanged, ArtefactForeign: See `errors`.
    """
    manifest, digest = _open_folder(path, EngineManifest)
    return Engine(path=path, manifest=manifest, sha256=digest)


def _open_folder(path: Path, model: type[ManifestT]) -> tuple[ManifestT, str]:
    restore = "restore the folder from its source, or build it again"
    for name in (SIGNATURE_NAME, MANIFEST_NAME):
        if not (path / name).is_file():
            raise ArtefactMissing(f"{path} has no {name}", "every checkpoint and engine folder has one", restore)
    digest = sha256_of_file(path / MANIFEST_NAME)
    signature = (path / SIGNATURE_NAME).read_bytes()
    if signature != json.dumps({"manifest_sha256": digest}).encode():
        raise ArtefactChanged(f"{path / MANIFEST_NAME} changed", "its hash is not the one in signature", restore)
    manifest = manifest_from_json((path / MANIFEST_NAME).read_bytes(), model, path)
    present = {file.name for file in path.iterdir()} - {MANIFEST_NAME, SIGNATURE_NAME}
    if unknown := sorted(present - manifest.files.keys()):
        raise ArtefactChanged(f"{path} holds {', '.join(unknown)}", "the manifest does not name it", restore)
    if missing := sorted(manifest.files.keys() - present):
        raise ArtefactMissing(f"{path / missing[0]} is missing", "the manifest names it", restore)
    with ThreadPoolExecutor() as pool:  # hashing leaves the interpreter's lock
        found = pool.map(lambda name: sha256_of_file(path / name), manifest.files)
        for (name, recorded), digest_here in zip(manifest.files.items(), found, strict=True):
            if digest_here != recorded:
                raise ArtefactChanged(f"{path / name} changed", f"its sha256 is not {recorded[:16]}…", restore)
    return manifest, digest
