"""A folder of phantoms with their labels, drawn on all cores."""

import csv
import json
import multiprocessing
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2

from sall_edge.errors import OutputError
from sall_edge.fundus.phantom.cohort import PhantomRecord, label_of_record, phantom_at, record_at
from sall_edge.spec import Labelling
from sall_edge.writing import folder_being_written

__all__ = ["RECIPE_NAME", "write_phantoms"]

RECIPE_NAME = "phantoms.json"
"""How the folder was made; it also tells a folder of phantoms from one that holds a user's own files."""

OWN_NAMES = {RECIPE_NAME, "images", "labels.csv"}
OWN_IMAGE = re.compile(r"\d{6,}_[LR]\.jpg")

JPEG_QUALITY = 92
COLUMNS = ("image", "dr_grade", "amd_grade", "quality", "patient_id", "eye", "split")

ALONE_BELOW = 16
"""Starting processes takes longer than drawing fewer phantoms than this."""


def _no_progress() -> None:
    pass


def write_phantoms(
    folder: Path,
    *,
    count: int,
    side_px: int,
    seed: int,
    labelling: Labelling = Labelling.COMPLETE,
    advance: Callable[[], None] = _no_progress,
) -> Path:
    """Draws a set of phantoms; `phantom_at(seed, index)` draws any of them again, with its lesion masks.

    The folder holds `images/*.jpg`, `labels.csv` and the recipe. It appears when it is complete; a folder of phantoms
    that was there is replaced. The same seed gives the same bytes on any number of cores. Processes are spawned, so a
    script that calls this needs the usual `if __name__ == "__main__"`.

    Args:
        folder: Where to write; the CSV's path in it is returned.
        count: Photographs; two a patient.
        side_px: Height of a photograph.
        seed: Of the whole set, 0 or more.
        labelling: Which labels the CSV gives.
        advance: Called after every photograph, for a progress bar.

    Raises:
        OutputError: The place cannot be written, or holds something else than phantoms.
        ValueError: The count or the seed is out of range.
    """
    if count < 1:
        raise ValueError(f"count is {count}; draw at least 1 phantom")
    _check_place(folder)
    records = [record_at(seed, index) for index in range(count)]
    with folder_being_written(folder) as temporary:
        (temporary / "images").mkdir()
        for _ in _drawn(temporary / "images", seed=seed, side_px=side_px, count=count):
            advance()
        _write_labels(temporary / "labels.csv", seed, records, labelling)
        recipe = {"count": count, "side_px": side_px, "seed": seed, "labelling": labelling.value}
        (temporary / RECIPE_NAME).write_text(json.dumps(recipe, indent=2) + "\n", encoding="utf-8")
    return folder / "labels.csv"


def _check_place(folder: Path) -> None:
    """Refuses a place that holds anything that this module did not write."""
    elsewhere = "choose a folder that does not exist yet"
    if folder.is_file():
        raise OutputError(f"{folder} is a file", "phantoms are written as a folder", elsewhere)
    if not folder.is_dir():
        return
    try:
        names = {entry.name for entry in folder.iterdir()}
        foreign = sorted(names - OWN_NAMES)
        if "images" in names and RECIPE_NAME in names:
            foreign += sorted(p.name for p in (folder / "images").iterdir() if not OWN_IMAGE.fullmatch(p.name))
    except OSError as cause:
        raise OutputError(f"cannot look into {folder}", str(cause.strerror or cause), elsewhere) from cause
    if foreign or (names and RECIPE_NAME not in names):
        found = ", ".join(foreign[:3]) or f"no {RECIPE_NAME}"
        raise OutputError(f"{folder} is not empty ({found})", "only a folder of phantoms is replaced", elsewhere)


def _drawn(images: Path, *, seed: int, side_px: int, count: int) -> Iterator[int]:
    """The indices, in order, as their photographs have been written."""
    draw = partial(_write_photograph, images, seed, side_px)
    workers = min(os.cpu_count() or 1, 1 + count // ALONE_BELOW)
    if workers == 1:
        yield from map(draw, range(count))
        return
    spawn = multiprocessing.get_context("spawn")  # a fork would copy the locks of other libraries' threads
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from pool.map(draw, range(count), chunksize=4)


def _write_photograph(images: Path, seed: int, side_px: int, index: int) -> int:
    phantom = phantom_at(seed, index, side_px=side_px)
    pixels = cv2.cvtColor(phantom.pixels, cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    path = images / record_at(seed, index).file_name
    try:
        path.write_bytes(encoded.tobytes())
    except OSError as cause:
        raise OutputError(f"cannot write {path.name}", str(cause.strerror or cause), "make room on the disk") from cause
    return index


def _write_labels(path: Path, seed: int, records: list[PhantomRecord], labelling: Labelling) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for record in records:
            grades = ["" if grade is None else grade for grade in label_of_record(seed, record, labelling)]
            image = f"images/{record.file_name}"
            writer.writerow([image, *grades, "good", record.patient_id, record.eye, record.split])
