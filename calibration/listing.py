"""Which photographs calibrated a graph, so that whoever judges the graph later can tell that they are others.

A CSV beside the graph, `NAME.calibration.csv`: image, whose eye it is, in which labels CSV, SHA-256 of the prepared
square. Its own SHA-256 stands in the provenance of the ranges and of everything that is made with them.
"""

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from sall_edge.artifacts import QdqModel, sha256_of_file
from sall_edge.errors import ArtefactForeign
from sall_edge.fundus.prepared_set import PreparedSet
from sall_edge.writing import file_being_written

__all__ = ["LIST_KEY", "Listed", "list_path", "listed", "load_list", "save_list"]

LIST_KEY = "photographs_sha256"
"""Of the list's file, in the provenance of `Ranges`."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One photograph.

    Attributes:
        image: Its path, as it was read.
        labels: Absolute path of its labels CSV: a patient's name means something within one CSV only.
        patient: Whose eye it is.
        sha256: Of the prepared square's pixels.
    """

    image: str
    labels: str
    patient: str
    sha256: str


def list_path(graph: Path) -> Path:
    """Where the list of a graph or engine stands."""
    return graph.with_name(f"{graph.name.removesuffix('.onnx')}.calibration.csv")


def listed(prepared: PreparedSet) -> tuple[Listed, ...]:
    """The photographs of a set, in its order."""
    return tuple(
        Listed(
            image=str(one.path),
            labels=str(one.source_csv.resolve()),
            patient=one.patient_id.partition(":")[2],  # how often the CSV was read does not matter
            sha256=hashlib.sha256(np.ascontiguousarray(square).tobytes()).hexdigest(),
        )
        for one, square in zip(prepared.photographs, prepared.squares, strict=True)
    )


def save_list(photographs: Sequence[Listed], path: Path) -> str:
    """Writes the list.

    Returns:
        SHA-256 of the file.

    Raises:
        OutputError: The place cannot be written.
    """
    with file_being_written(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Listed))
        writer.writerows(astuple(one) for one in photographs)
    return sha256_of_file(path)


def load_list(qdq: QdqModel) -> tuple[Listed, ...] | None:
    """The photographs that a Q/DQ graph was calibrated on; None where no list was kept.

    Raises:
        ArtefactForeign: The list beside the graph is not the one that was written with it.
    """
    path = list_path(qdq.path)
    wanted = qdq.manifest.provenance.get("ranges", {}).get(LIST_KEY)
    if wanted is None or not path.is_file():
        return None
    found = sha256_of_file(path)
    if found != wanted:
        why = f"its sha256 is {found[:16]}…, the graph names {wanted[:16]}…"
        raise ArtefactForeign(f"{path} is not the list of {qdq.path.name}", why, "calibrate the graph again")
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(Listed(**row) for row in csv.DictReader(file))
