"""How often an engine calls photographs unfamiliar: those like its validation, other cameras, changed ones.

    python benchmarks/familiarity.py ENGINE --like LABELS... [--split test] [--other LABELS:COLUMN|FOLDER...]

- like:     the split of each CSV, gradable ones; the engine aims at 1 % of them beyond its limit.
- other:    photographs from elsewhere, in groups by a column of their CSV, or a folder.
- changed:  the squares of `like`, changed in a way that a camera, a driver or an operator could.

Of every group: how many pass the quality gate (only they reach the network), the share of these beyond the limit with
Wilson's 95 % interval, the median distance, and the AUC of the distance against all of `like`, with a bootstrap's 95 %
interval. Photographs of one patient resemble each other, so the intervals are somewhat too narrow. The cost of a
distance is timed on this machine. `agreement` is how the FP32 graph, which stands in for a plan that cannot run, calls
the photographs of `like`.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score
from turns import write_result

from sall_edge.artifacts import open_engine
from sall_edge.bench.accuracy.gradability import share_of
from sall_edge.fundus.labels import in_split, read_labels
from sall_edge.fundus.quality import assess
from sall_edge.runtime.session import Session, open_reference, open_session
from sall_edge.screening.familiarity import familiarity_of
from sall_edge.screening.photographs import find_photographs
from sall_edge.screening.verdict import look
from sall_edge.spec import TaskSet

U8 = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

BOOTSTRAP_ROUNDS = 500


def _gain(square: U8, red: float, green: float, blue: float) -> U8:
    return np.clip(square * np.array([red, green, blue]), 0, 255).astype(np.uint8)


def _zoomed(square: U8, factor: float) -> U8:
    side = len(square)
    margin = round(side * (1 - 1 / factor) / 2)
    return cv2.resize(
        square[margin : side - margin, margin : side - margin], (side, side), interpolation=cv2.INTER_AREA
    )


def _shuffled(square: U8) -> U8:
    """The four quarters, each in the place of the opposite one: every texture of a retina, and no retina."""
    half = len(square) // 2
    return np.roll(square, (half, half), axis=(0, 1))


def _noisy(square: U8) -> U8:
    noise = np.random.default_rng(0).normal(0, 12, square.shape)
    return np.clip(square + noise, 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[U8], U8]] = {
    "mirrored": lambda square: square[:, ::-1],
    "upside down": lambda square: square[::-1],
    "turned by 90 degrees": lambda square: np.rot90(square),
    "red and blue swapped": lambda square: square[:, :, ::-1],
    "grey": lambda square: np.repeat(cv2.cvtColor(square, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2),
    "green channel alone": lambda square: np.repeat(square[:, :, 1:2], 3, axis=2),
    "tint: 0.9, 1.05, 1.1": lambda square: _gain(square, 0.9, 1.05, 1.1),
    "tint: 0.6, 1.2, 0.8": lambda square: _gain(square, 0.6, 1.2, 0.8),
    "half as bright": lambda square: _gain(square, 0.5, 0.5, 0.5),
    "middle, 1.5 times": lambda square: _zoomed(square, 1.5),
    "middle, twice": lambda square: _zoomed(square, 2.0),
    "blurred, sigma 2 px": lambda square: cv2.GaussianBlur(square, (0, 0), 2.0),
    "noise, sigma 12": _noisy,
    "quarters exchanged": _shuffled,
}


def squares_of(paths: list[Path], session: Session) -> list[U8]:
    """Those that can be prepared."""
    looked = (look(path, session.manifest.image) for path in paths)
    return [one.prepared.square for one in looked if one.prepared is not None]


def groups_of(wanted: str, session: Session) -> dict[str, list[Path]]:
    """Photographs by the name of their group."""
    place, _, column = wanted.partition(":")
    if not column:
        return {Path(place).name: list(find_photographs([Path(place)]))}
    groups = defaultdict(list)
    for photograph in read_labels([Path(place)], TaskSet(tasks=session.manifest.tasks)):
        said = photograph.split if column == "split" else photograph.extra.get(column, "")
        value = said.partition(" via ")[0].partition("/")[0]
        groups[f"{Path(place).parent.name}: {value}"].append(photograph.path)
    return groups


def distances(squares: Iterable[U8], session: Session) -> Floats:
    """Of the gradable ones."""
    retinas = session.familiar_retinas
    assert retinas is not None, f"{session.engine.path} was built without --calibration and --gate"
    predictions = (session.run(square) for square in squares if assess(square).gradable)
    return np.array([familiarity_of(prediction, retinas).distance for prediction in predictions])


def auc(near: Floats, far: Floats) -> float:
    """Of the distance."""
    return float(roc_auc_score(np.repeat([0, 1], [len(near), len(far)]), np.concatenate([near, far])))


def told(found: Floats, seen: int, near: Floats, limit: float) -> dict[str, Any]:
    """What is said of a group."""
    if not len(found):
        return {"photographs": seen, "gradable": 0}
    beyond = int((found > limit).sum())
    share = share_of(beyond, len(found))
    rng = np.random.default_rng(0)
    rounds = [auc(rng.choice(near, len(near)), rng.choice(found, len(found))) for _ in range(BOOTSTRAP_ROUNDS)]
    return {
        "photographs": seen,
        "gradable": len(found),
        "beyond": beyond,
        "share_beyond": round(share.share, 4),
        "share_beyond_interval": [round(share.low, 4), round(share.high, 4)],
        "median_distance": round(float(np.median(found)), 3),
        "auc": round(auc(near, found), 3),
        "auc_interval": [round(float(value), 3) for value in np.quantile(rounds, (0.025, 0.975))],
    }


def cost_us(session: Session, square: U8) -> float:
    """Microseconds of one distance, the median of many."""
    prediction, retinas = session.run(square), session.familiar_retinas
    assert retinas is not None
    times = []
    for _ in range(500):
        start = time.perf_counter()
        familiarity_of(prediction, retinas)
        times.append((time.perf_counter() - start) * 1e6)
    return round(float(np.median(times)), 1)


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", type=Path)
    parser.add_argument("--like", type=Path, action="append", required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--other", action="append", default=[])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    engine = open_engine(options.engine)
    groups: dict[str, list[U8]] = {}
    with open_session(engine) as session:
        tasks = TaskSet(tasks=session.manifest.tasks)
        for labels in options.like:
            photographs = in_split(read_labels([labels], tasks), options.split)
            groups[labels.parent.name] = squares_of([photograph.path for photograph in photographs], session)
        like = [square for squares in groups.values() for square in squares if assess(square).gradable]
        near = distances(like, session)
        for wanted in options.other:
            groups |= {name: squares_of(paths, session) for name, paths in groups_of(wanted, session).items()}
        seen = {name: len(squares) for name, squares in groups.items()} | dict.fromkeys(CHANGES, len(like))
        found = {name: distances(squares, session) for name, squares in groups.items()}
        for name, change in CHANGES.items():
            found[name] = distances((np.ascontiguousarray(change(square)) for square in like), session)
        microseconds = cost_us(session, like[0])
        assert session.familiar_retinas is not None
        limit = session.familiar_retinas.limit
    with open_reference(engine) as reference:
        fp32 = distances(like, reference)
    result = {
        "engine_sha256": engine.sha256,
        "fitted": engine.manifest.provenance["familiarity"],
        "groups": {name: told(found[name], count, near, limit) for name, count in seen.items()},
        "distance_us": microseconds,
        "agreement": {
            "called_alike": round(float(((fp32 > limit) == (near > limit)).mean()), 4),
            "beyond_on_fp32": round(float((fp32 > limit).mean()), 4),
            "largest_difference": round(float(np.abs(fp32 - near).max()), 3),
        },
        "side_px": engine.manifest.image.side_px,
        "precision": engine.manifest.precision.value,
    }
    print(json.dumps(result, indent=2))
    write_result(options.json, result)


if __name__ == "__main__":
    main()
