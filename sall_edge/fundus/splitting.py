"""A labels CSV without splits -> the same with `train`, `val` and `test`, patient by patient."""

import csv
import hashlib
import math
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from sall_edge.errors import LabelsError
from sall_edge.writing import file_being_written

__all__ = ["write_splits"]


def write_splits(
    source: Path, target: Path, *, val: float, test: float, by: Sequence[str] = (), seed: int = 0
) -> Counter[str]:
    """Number of photographs in each split.

    Rows that name a split keep it, and give it to the other rows of their patient. All columns are kept; image paths
    are made relative to the new CSV.

    Args:
        source: Labels CSV; without a column `patient_id` every photograph is a patient.
        target: The new CSV.
        val, test: Shares of the patients; the rest is `train`.
        by: Columns whose values every split gets in the same proportions, such as a grade. A patient counts with all
            the values that the rows have.
        seed: Draws other splits. The draw depends on the patient's name and not on the order of the rows.

    Raises:
        LabelsError: `source` cannot be read, or lacks a column.
        OutputError: `target` cannot be written.
        ValueError: The shares leave nothing to train on.
    """
    if not (val >= 0 and test >= 0 and val + test < 1):
        raise ValueError(
            f"val is {val} and test is {test}: shares that leave something to train on, such as 0.15 and 0.2"
        )
    names, rows = _read(source, ("image", *by))
    patients: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        patients[row.get("patient_id") or row["image"]].append(row)
    strata: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for patient, own in patients.items():
        if not any(row.get("split") for row in own):
            strata[tuple(sorted({"|".join(row[column] for column in by) for row in own}))].append(patient)
    drawn: dict[str, str] = {}
    for stratum in strata.values():
        drawn |= _drawn(stratum, val, test, seed)
    for patient, own in patients.items():
        split = next((row["split"] for row in own if row.get("split")), drawn.get(patient, ""))
        for row in own:
            row["split"] = row.get("split") or split
            row["image"] = os.path.relpath(source.parent / row["image"], target.parent)
    with file_being_written(target) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*names, *({"split"} - set(names))])
        writer.writeheader()
        writer.writerows(rows)
    return Counter(row["split"] for row in rows)


def _drawn(patients: list[str], val: float, test: float, seed: int) -> dict[str, str]:
    """A split for each of them; small strata round at random too, or rare grades would all stay in `train`."""
    order = sorted(patients, key=lambda patient: _number(f"{seed} {patient}"))
    start = _number(f"{seed} " + "\n".join(sorted(patients)))
    edges = [math.floor(share * len(order) + start) for share in (test, test + val)]
    return {
        patient: "test" if place < edges[0] else "val" if place < edges[1] else "train"
        for place, patient in enumerate(order)
    }


def _number(text: str) -> float:
    """In 0..1, always the same for the same text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


def _read(source: Path, needed: Sequence[str]) -> tuple[list[str], list[dict[str, str]]]:
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            names = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = names
            rows = [{name: row[name].strip() for name in names} for row in reader]
    except OSError as cause:
        raise LabelsError(f"cannot read {source}", cause.strerror or str(cause), "check the path") from cause
    except (csv.Error, UnicodeDecodeError) as cause:
        raise LabelsError(f"{source} is not a CSV in UTF-8", str(cause), "export it again as CSV, UTF-8") from cause
    if missing := [name for name in needed if name not in names]:
        raise LabelsError(
            f"{source} has no column {missing[0]!r}", f"its columns are {', '.join(names)}", "name another"
        )
    return names, rows
