"""Is the field of view found, how exactly, and how long does it take? On drawn photographs and on marked ones.

    python benchmarks/field_detection.py [--phantoms 500] [--fullres FOLDER] [--rounds 30] [--json FILE]

- phantoms: frames that mislead (`sall_edge.fundus.phantom.hostile`), truth by construction; the share whose centre
  and radius are both within 2 % of the radius, by framing and by disturbance.
- fullres:  camera originals whose rim was marked by eye, eight points each (`field_marks.json`: file name and full
  resolution pixels); the circle through the marks is the truth. Needs the photographs: HRF, IDRiD, DRIVE, SRahimDR.
- time:     search, cut and quality beside the scaled decode of the same files. The least of the rounds, because other
            work on the machine only ever adds; OpenCV may use all cores, as it does in the product.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from sall_edge.errors import FieldNotFound
from sall_edge.fundus.decode import decode
from sall_edge.fundus.field import FieldOfView, find_field
from sall_edge.fundus.phantom.disturbance import Disturbance
from sall_edge.fundus.phantom.hostile import Framing, HostilePhantom, draw_hostile_phantom
from sall_edge.fundus.prepare import cut_square
from sall_edge.fundus.quality import assess
from sall_edge.runtime.machine import describe
from sall_edge.spec import ImageSpec

MARKS = Path(__file__).with_name("field_marks.json")
WITHIN = 0.02
LOST = float("inf")


def error(found: FieldOfView, truth: FieldOfView) -> tuple[float, float]:
    """Offset of the centre and difference of the radius, as shares of the true radius."""
    offset = np.hypot(found.center_x_px - truth.center_x_px, found.center_y_px - truth.center_y_px)
    return float(offset / truth.radius_px), float(abs(found.radius_px / truth.radius_px - 1))


def phantom(index: int, seed: int) -> HostilePhantom:
    """One phantom of the series; framings take turns."""
    framings = list(Framing)
    return draw_hostile_phantom(np.random.default_rng([seed, index]), framings[index % len(framings)])


def phantom_errors(count: int, seed: int) -> list[dict[str, Any]]:
    """For each phantom what it is and by how much it was missed."""
    rows = []
    for index in range(count):
        drawn = phantom(index, seed)
        try:
            center, radius = error(find_field(drawn.pixels), drawn.field)
        except FieldNotFound:
            center = radius = LOST
        rows.append(
            {
                "index": index,
                "framing": drawn.framing.value,
                "disturbances": sorted(disturbance.value for disturbance in drawn.disturbances),
                "worse_error": max(center, radius),
            }
        )
    return rows


def summary(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """How many, the share within 2 %, and the quantiles of the worse error in percent."""
    errors = np.array([row["worse_error"] for row in rows])
    found = errors[np.isfinite(errors)]
    return {
        "count": len(errors),
        "not_found": int(len(errors) - len(found)),
        "within_2_percent": round(float(np.mean(errors <= WITHIN)), 4),
        "median_percent": round(100 * float(np.median(found)), 2),
        "p90_percent": round(100 * float(np.quantile(found, 0.9)), 2),
        "max_percent": round(100 * float(found.max()), 2),
    }


def phantom_report(count: int, seed: int) -> dict[str, Any]:
    """The summaries of all, of each framing and disturbance, and the ten worst."""
    rows = phantom_errors(count, seed)
    groups = {"all": rows}
    groups |= {kind.value: [row for row in rows if row["framing"] == kind.value] for kind in Framing}
    groups |= {kind.value: [row for row in rows if kind.value in row["disturbances"]] for kind in Disturbance}
    report = {name: summary(group) for name, group in groups.items() if group}
    for name, line in report.items():
        print(
            f"{name:36s} {line['count']:4d}  within 2 %: {100 * line['within_2_percent']:5.1f} %"
            f"  median {line['median_percent']:5.2f} %  largest {line['max_percent']:6.2f} %"
        )
    worst = sorted(rows, key=lambda row: -row["worse_error"])[:10]
    for row in worst:
        row["worse_error"] = round(row["worse_error"], 4) if np.isfinite(row["worse_error"]) else "not found"
    return {"seed": seed, "groups": report, "worst": worst}


def circle_through(points: list[list[float]]) -> FieldOfView:
    """The circle of least squares through marks: x^2 + y^2 = 2 a x + 2 b y + c (Kasa 1976)."""
    marks = np.array(points, dtype=np.float64)
    around = marks.mean(axis=0)
    marks -= around
    a, b, c = np.linalg.lstsq(np.column_stack([2 * marks, np.ones(len(marks))]), (marks**2).sum(axis=1), rcond=None)[0]
    return FieldOfView(
        center_x_px=float(a + around[0]), center_y_px=float(b + around[1]), radius_px=float(np.sqrt(c + a * a + b * b))
    )


def least_ms(work: Callable[[], object], rounds: int) -> float:
    """Milliseconds of the fastest of the rounds."""
    work()
    took = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return round(1e3 * min(took), 3)


def marked_report(folder: Path, rounds: int, image: ImageSpec) -> list[dict[str, Any]]:
    """Errors against the marks, and times, of every marked photograph of the folder."""
    rows = []
    for name, points in json.loads(MARKS.read_text()).items():
        data = (folder / name).read_bytes()
        photograph = decode(data, name=name, side_px=image.side_px)
        pixels, field = photograph.pixels, find_field(photograph.pixels)
        center, radius = error(field.scaled(photograph.scale_denominator), circle_through(points))
        square = cut_square(pixels, field, image)
        decode_ms = least_ms(lambda: decode(data, name=name, side_px=image.side_px), max(3, rounds // 5))  # noqa: B023
        field_ms = least_ms(lambda: find_field(pixels), rounds)  # noqa: B023 - called before the next photograph
        row = {
            "photograph": name,
            "center_percent": round(100 * center, 2),
            "radius_percent": round(100 * radius, 2),
            "decoded": f"{pixels.shape[1]}x{pixels.shape[0]}",
            "decode_ms": decode_ms,
            "field_ms": field_ms,
            "field_over_decode": round(field_ms / decode_ms, 4),
            "cut_ms": least_ms(lambda: cut_square(pixels, field, image), rounds),  # noqa: B023
            "assess_ms": least_ms(lambda: assess(square), rounds),  # noqa: B023
        }
        rows.append(row)
        print("  ".join(f"{value}" for value in row.values()), flush=True)
    return rows


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phantoms", type=int, default=500)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--fullres", type=Path)
    parser.add_argument("--side", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    report: dict[str, Any] = {"machine": describe()}
    if arguments.phantoms:
        report["phantoms"] = phantom_report(arguments.phantoms, arguments.seed)
    if arguments.fullres:
        rows = marked_report(arguments.fullres, arguments.rounds, ImageSpec(side_px=arguments.side))
        within = sum(max(row["center_percent"], row["radius_percent"]) <= 100 * WITHIN for row in rows)
        jpegs = [row["field_over_decode"] for row in rows if row["photograph"].endswith(".jpg")]
        print(f"marked: {within} of {len(rows)} within 2 %; search over decode, JPEGs: at most {max(jpegs):.3f}")
        report["marked"] = rows
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
