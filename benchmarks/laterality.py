"""Is the eye told rightly from the disc, and how often would a stated eye be doubted, wrongly and rightly?

    python benchmarks/laterality.py --labels CSV [--labels CSV] [--split test] [--side 320] [--phantoms 300] [--json J]

- labels:   every photograph of the split whose `eye` is L or R. Right is the eye as labelled; a wrong label counts as a
            failure. Alarms are counted with the labels as they are (false ones) and swapped (those that are caught).
- phantoms: three fields, aimed at the macula, between and at the disc; eye, disc and view are known.
- time:     processor time of one thread for one square, median of all photographs.
"""

import argparse
import csv
import math
import time
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from turns import write_result

from sall_edge.bench.accuracy.gradability import share_of
from sall_edge.errors import FieldNotFound, UnreadablePhotograph
from sall_edge.fundus.landmarks import LEAST_CONFIDENCE, Laterality, agrees, find_laterality
from sall_edge.fundus.phantom import Layout, draw_phantom
from sall_edge.fundus.prepare import cut_square, prepare_file
from sall_edge.spec import Eye, ImageSpec, View

TOWARDS_DISC = {"macula": 0.0, "between": 0.5, "disc": 1.0}
FIELDS_DD = {"30 degrees": 4.9, "45 degrees": 7.2, "60 degrees": 9.6}
OTHER = {Eye.LEFT: Eye.RIGHT, Eye.RIGHT: Eye.LEFT}


def labelled(source: Path, split: str) -> list[tuple[Path, Eye]]:
    """The photographs of a split whose eye is known."""
    with source.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split and row["eye"] in ("L", "R")]
    return [(source.parent / row["image"], Eye(row["eye"])) for row in rows]


def summary(pairs: list[tuple[Eye, Laterality | None]]) -> dict[str, Any]:
    """Shares of what was told; None is a photograph that could not be prepared, and counts as not right."""
    n = len(pairs)
    right = sum(seen is not None and seen.eye is eye for eye, seen in pairs)
    alarms, caught = (
        sum(seen is not None and agrees(stated[eye], seen) is False for eye, seen in pairs)
        for stated in ({eye: eye for eye in Eye}, OTHER)
    )
    told = share_of(right, n)
    return {
        "n": n,
        "right": right,
        "right_percent": round(100 * right / n, 2),
        "interval_percent": [round(100 * told.low, 2), round(100 * told.high, 2)],
        "unknown": sum(seen is None or seen.eye is None for _, seen in pairs),
        "false_alarms": alarms,
        "false_alarm_percent": round(100 * alarms / n, 2),
        "swapped_caught": caught,
        "swapped_caught_percent": round(100 * caught / n, 2),
        "views": {
            str(view and view.value): sum(bool(s) and s.view is view for _, s in pairs) for view in (*View, None)
        },
    }


def photograph_report(csvs: list[Path], split: str, image: ImageSpec) -> dict[str, Any]:
    """By set and together; the photographs that were not right by name."""
    report: dict[str, Any] = {}
    together: list[tuple[Eye, Laterality | None]] = []
    for source in csvs:
        pairs: list[tuple[Eye, Laterality | None]] = []
        wrong, times_ms = [], []
        for path, eye in labelled(source, split):
            seen = None
            try:
                square = prepare_file(path, image).square
                started = time.thread_time()
                seen = find_laterality(square)
                times_ms.append(1e3 * (time.thread_time() - started))
            except (FieldNotFound, UnreadablePhotograph) as refusal:
                print(path, refusal)
            pairs.append((eye, seen))
            if seen is None or seen.eye is not eye:
                wrong.append({"image": path.name, "confidence": round(seen.confidence, 3) if seen else None})
        report[source.parent.name] = {**summary(pairs), "median_ms": round(median(times_ms), 2), "wrong": wrong}
        together += pairs
    report["together"] = summary(together)
    return report


def phantom_report(count: int, seed: int, image: ImageSpec) -> list[dict[str, Any]]:
    """By field and aim: eye, view, and how far off the disc is, in its diameters."""
    rows = []
    for field, diameters in FIELDS_DD.items():
        for aim, towards in TOWARDS_DISC.items():
            pairs, errors, views = [], [], 0
            for index in range(count):
                rng = np.random.default_rng([seed, index])
                across = diameters * rng.uniform(0.93, 1.07)
                shift, tilt = rng.normal(0, 0.05, 2), rng.normal(0, 0.06)
                layout = Layout(disc_diameters=across, towards_disc=towards, shift=(shift[0], shift[1]), tilt=tilt)
                eye, dr, amd = list(Eye)[rng.integers(2)], int(rng.integers(5)), int(rng.integers(4))
                drawn = draw_phantom(rng, side_px=320, dr_grade=dr, amd_grade=amd, eye=eye.value, layout=layout)
                seen = find_laterality(cut_square(drawn.pixels, drawn.field, image))
                pairs.append((eye, seen))
                disc, fovea = (
                    ((at[0] - drawn.field.center_x_px), (at[1] - drawn.field.center_y_px))
                    for at in (drawn.optic_disc_xy, drawn.fovea_xy)
                )
                view = View.DISC if math.hypot(*disc) < math.hypot(*fovea) else View.MACULA
                views += seen.view is view
                x, y = (place / drawn.field.radius_px for place in disc)
                errors.append(math.hypot((seen.disc_x or 0) - x, (seen.disc_y or 0) - y) * across / 2)
            rows.append(
                {
                    "field": field,
                    "aimed_at": aim,
                    **summary(pairs),
                    "view_right_percent": round(100 * views / count, 1),
                    "disc_off_p50_dd": round(float(np.percentile(errors, 50)), 3),
                    "disc_off_p90_dd": round(float(np.percentile(errors, 90)), 3),
                }
            )
            print({key: value for key, value in rows[-1].items() if key != "views"}, flush=True)
    return rows


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, action="append", default=[])
    parser.add_argument("--split", default="test")
    parser.add_argument("--side", type=int, default=320)
    parser.add_argument("--phantoms", type=int, default=0)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)  # processor time of one thread is counted
    image = ImageSpec(side_px=arguments.side)
    report: dict[str, Any] = {
        "split": arguments.split,
        "side_px": arguments.side,
        "least_confidence": LEAST_CONFIDENCE,
    }
    if arguments.labels:
        report["photographs"] = photograph_report(arguments.labels, arguments.split, image)
        for name, figures in report["photographs"].items():
            print(name, {key: value for key, value in figures.items() if key != "wrong"})
    if arguments.phantoms:
        report["phantoms"] = phantom_report(arguments.phantoms, arguments.seed, image)
    write_result(arguments.json, report)


if __name__ == "__main__":
    main()
