"""Labels CSV -> labelled photographs: what is on each one, whose eye it is, and which split it belongs to.

Columns: `image,dr_grade,amd_grade,quality,patient_id,eye,split`, of which only `image` must be there. Which columns
hold grades is said by the tasks. An empty cell means unknown; columns that no rule names are kept.
"""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sall_edge.errors import LabelsError
from sall_edge.spec import Task, TaskSet

__all__ = ["LabelledPhotograph", "in_split", "read_labels"]

PROBLEMS_SHOWN = 5
"""Enough to see what they have in common, few enough to read."""

KNOWN_COLUMNS = ("image", "patient_id", "eye", "split")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPhotograph:
    """One row of a labels CSV.

    Attributes:
        path: The photograph; not necessarily an existing file.
        grades: By task name; None where the grade is unknown.
        patient_id: Starts with the number of its CSV and a colon, so it is unique over all that were read together;
            where the CSV names no patient, the image stands for one.
        eye: As written; "" if unknown.
        split: As written, usually train, val or test; "" if unknown.
        source_csv: Where it was read.
        extra: Every other column, as written.
    """

    path: Path
    grades: dict[str, int | None]
    patient_id: str
    eye: str
    split: str
    source_csv: Path
    extra: dict[str, str]


def read_labels(csvs: Sequence[Path], tasks: TaskSet | None) -> tuple[LabelledPhotograph, ...]:
    """All rows of the CSVs, in order.

    Image paths are relative to their CSV. Patients of different CSVs are different patients, so two data sets that
    both count from 1 do not mix.

    Args:
        csvs: The files.
        tasks: Which columns hold grades; None: none does, all are kept as written.

    Raises:
        LabelsError: A CSV is missing, empty or has no `image` column; a grade is none of its task's; an image stands
            in two rows; a patient is in two splits.
    """
    rows: list[LabelledPhotograph] = []
    problems: list[str] = []
    for number, source in enumerate(csvs):
        rows += _read_csv(source, f"{number}:", () if tasks is None else tasks.tasks, problems.append)
    _check_images(rows, problems.append)
    _check_patients(rows, problems.append)
    if problems:
        hidden = len(problems) - PROBLEMS_SHOWN
        shown = problems[:PROBLEMS_SHOWN] + ([f"and {hidden} more"] if hidden > 0 else [])
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        names = ", ".join(str(source) for source in csvs)
        raise LabelsError(f"{count} in {names}", "\n       ".join(shown), "correct these rows, or the task file")
    return tuple(rows)


def in_split(photographs: Iterable[LabelledPhotograph], split: str) -> tuple[LabelledPhotograph, ...]:
    """The photographs whose split is exactly this one, in order; may be empty."""
    return tuple(photograph for photograph in photographs if photograph.split == split)


def _read_csv(
    source: Path, namespace: str, tasks: Sequence[Task], report: Callable[[str], None]
) -> list[LabelledPhotograph]:
    columns = "the columns are image,dr_grade,amd_grade,quality,patient_id,eye,split; only image must be there"
    try:
        # utf-8-sig: spreadsheets write a byte order mark, which would hide the first column's name
        with source.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True, restval="")
            names = [name.strip() for name in reader.fieldnames or ()]
            if "image" not in names:
                found = f"its first line is {','.join(names)!r}" if names else "it is empty"
                raise LabelsError(f"{source} has no column `image`", found, columns)
            if repeated := sorted({name for name in names if names.count(name) > 1}):
                raise LabelsError(f"{source} has the column {repeated[0]!r} twice", "a column has one meaning", columns)
            reader.fieldnames = names
            rows = [
                _row(cells, f"{source}, line {reader.line_num}", source, namespace, tasks, report) for cells in reader
            ]
    except OSError as cause:
        raise LabelsError(f"cannot read {source}", cause.strerror or str(cause), "check the path") from cause
    except (csv.Error, UnicodeDecodeError) as cause:
        raise LabelsError(f"{source} is not a CSV in UTF-8", str(cause), "export it again as CSV, UTF-8") from cause
    if not rows:
        raise LabelsError(f"{source} has no rows", "it holds column names only", "add one row for each photograph")
    return rows


def _row(
    read: dict[str, str], where: str, source: Path, namespace: str, tasks: Sequence[Task], report: Callable[[str], None]
) -> LabelledPhotograph:
    if None in read:  # where csv puts cells that have no column
        report(f"{where}: more cells than columns")
    cells = {name: cell.strip() for name, cell in read.items() if name is not None}
    if not cells["image"]:
        report(f"{where}: no image named")
    grades: dict[str, int | None] = {}
    for task in tasks:
        label = cells.get(task.column, "")
        legal = task.grade_from_label or {str(grade): grade for grade in range(len(task.grades))}
        # a spreadsheet or pandas turns a column of integers with gaps into 2.0
        grades[task.name] = legal.get(label, legal.get(label.removesuffix(".0")))
        if label and grades[task.name] is None:
            report(f"{where}: {task.column} is {label!r}; legal are {', '.join(legal)}, or empty for unknown")
    labelled = {*KNOWN_COLUMNS, *(task.column for task in tasks)}
    return LabelledPhotograph(
        path=source.parent / cells["image"],
        grades=grades,
        patient_id=namespace + (cells.get("patient_id") or cells["image"]),
        eye=cells.get("eye", ""),
        split=cells.get("split", ""),
        source_csv=source,
        extra={name: cell for name, cell in cells.items() if name not in labelled},
    )


def _check_images(rows: Iterable[LabelledPhotograph], report: Callable[[str], None]) -> None:
    seen: dict[Path, LabelledPhotograph] = {}
    for row in rows:
        first = seen.setdefault(row.path.resolve(), row)
        if first is not row:
            report(f"{row.source_csv}: {row.path} stands in two rows (first in {first.source_csv})")


def _check_patients(rows: Iterable[LabelledPhotograph], report: Callable[[str], None]) -> None:
    splits: dict[str, set[str]] = {}
    for row in rows:
        splits.setdefault(row.patient_id, set()).add(row.split)
    for patient, found in splits.items():
        if len(found) > 1:
            named = ", ".join(sorted(split or "(none)" for split in found))
            report(f"patient {patient.partition(':')[2]} is in the splits {named}; one patient belongs to one split")
