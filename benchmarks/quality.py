"""Does the quality gate stop what nobody can grade, say why, and let the rest through? And what does it cost?

    python benchmarks/quality.py [--phantoms 100] [--gradability LABELS.csv] [--graded LABELS.csv...] [--split test]
                                 [--engine ENGINE] [--json FILE]

- phantoms:    each degraded in one known way (`sall_edge.fundus.phantom.degraded`); of each way the share that is
               refused for its own reason, and of each reason the share that was given to a phantom spoilt in its way;
               and the share of undegraded ones that pass. Severities are clearly ungradable, by construction.
- gradability: a labels CSV with a column `quality` (good, and other words), such as DRIMDB's: area under the ROC curve
               of the score, default limits, no network; bootstrap over patients. Then limits fitted on a random half
               and judged on the other, many times: what `quality fit` is worth on photographs that it has not seen.
- graded:      labels CSVs of photographs that somebody has graded: how many the default limits refuse.
- cost:        CPU time of `assess` at 320 px on one thread, the least of many rounds; with an engine also beside decode
               and inference of the graded photographs.
"""

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from turns import write_result

from sall_edge.artifacts import open_engine
from sall_edge.bench.accuracy.gradability import Looked, look_for_quality, measure_gradability, share_of
from sall_edge.errors import FieldNotFound
from sall_edge.fundus.labels import LabelledPhotograph, read_labels
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.fundus.phantom.degraded import Degradation, draw_degraded_phantom
from sall_edge.fundus.phantom.draw import AMD_GRADES, DR_GRADES
from sall_edge.fundus.prepare import prepare
from sall_edge.fundus.quality import DEFAULT_LIMITS, assess
from sall_edge.fundus.quality.fit import fit_limits
from sall_edge.runtime.session import Session, open_session
from sall_edge.screening.verdict import judge, look
from sall_edge.spec import ImageSpec

IMAGE = ImageSpec(side_px=320)
HALVES = 50
MOST_REFUSED = 0.05
COST_ROUNDS, COST_CALLS, TIME_ROUNDS = 40, 100, 5


def reasons_of(pixels: Any) -> tuple[str, ...]:
    """What the gate says of a photograph."""
    try:
        return assess(prepare(pixels, IMAGE)).reasons
    except FieldNotFound:
        return ("no_field_of_view",)


def undegraded(rng: np.random.Generator) -> Any:
    """A phantom of any grade, as its camera took it."""
    dr_grade, amd_grade = int(rng.integers(DR_GRADES)), int(rng.integers(AMD_GRADES))
    return draw_phantom(rng, side_px=512, dr_grade=dr_grade, amd_grade=amd_grade, eye="R").pixels


def phantom_report(count: int, seed: int) -> dict[str, Any]:
    """Shares by degradation, by reason, and of the undegraded."""
    said: dict[str, Counter[tuple[str, ...]]] = {}
    given: dict[str, Counter[str]] = defaultdict(Counter)
    for number, degradation in enumerate(Degradation):
        answers = [
            reasons_of(draw_degraded_phantom(np.random.default_rng([seed, number, index]), degradation))
            for index in range(count)
        ]
        said[degradation.title] = Counter(answers)
        for reason in (reason for answer in answers for reason in answer):
            given[reason]["right" if reason == degradation.reason else degradation.title] += 1
    passed = sum(not reasons_of(undegraded(np.random.default_rng([seed, 99, index]))) for index in range(4 * count))
    right = {d.title: share_of(sum(n for a, n in said[d.title].items() if d.reason in a), count) for d in Degradation}
    report = {
        "seed": seed,
        "of_each": count,
        "by_degradation": {
            d.title: {
                "reason": d.reason,
                "right": right[d.title].model_dump(),
                "passed": said[d.title][()],
                "said": {" + ".join(answer) or "gradable": n for answer, n in said[d.title].most_common()},
            }
            for d in Degradation
        },
        "by_reason": {
            reason: {"right": share_of(found["right"], found.total()).model_dump(), "given": dict(found)}
            for reason, found in given.items()
        },
        "undegraded_passed": share_of(passed, 4 * count).model_dump(),
    }
    for title, share in right.items():
        print(f"{title:22s} {share.count:4d} of {share.of}  {said[title].most_common(3)}", flush=True)
    print(f"undegraded passed {passed} of {4 * count}", flush=True)
    return report


def readable(photographs: Sequence[LabelledPhotograph]) -> list[Looked]:
    """The photographs, looked at; one that cannot be read ends the run, for it would leave the count."""
    looked = look_for_quality(photographs, IMAGE)
    unread = [one.error for one in looked if one.error]
    if unread:
        raise SystemExit(f"cannot read {unread}")
    return list(looked)


def gradability_report(labels: Path, good: str) -> dict[str, Any]:
    """The score of the default limits against the labels, and fitted limits on halves they were not fitted on."""
    looked = readable([row for row in read_labels([labels], None) if row.extra.get("quality")])
    words = [one.photograph.extra["quality"] for one in looked]
    report = measure_gradability(looked, words, good, DEFAULT_LIMITS, rng=np.random.default_rng(0))
    print(f"{labels.parent.name}: AUC {report.auc:.4f} {report.auc_interval}", report.by_label, flush=True)
    halves = [half_fit(looked, words, good, np.random.default_rng([1, index])) for index in range(HALVES)]
    summary = {
        name: {q: round(float(np.quantile([half[name] for half in halves], p)), 4) for q, p in QUANTILES.items()}
        for name in halves[0]
    }
    print("fitted on a half, judged on the other:", summary, flush=True)
    return {"default_limits": report.model_dump(), "fitted_on_halves": {"halves": HALVES, **summary}}


QUANTILES = {"p5": 0.05, "median": 0.5, "p95": 0.95}


def half_fit(looked: Sequence[Looked], words: Sequence[str], good: str, rng: np.random.Generator) -> dict[str, float]:
    """Limits from one half of each word's photographs, on the other half."""
    here = np.zeros(len(looked), bool)
    for word in sorted(set(words)):
        places = rng.permutation([index for index, found in enumerate(words) if found == word])
        here[places[: len(places) // 2]] = True
    measures = [one.measures or {"brightness": 0.0} for one in looked]
    kinds = [
        [m for m, w, h in zip(measures, words, here, strict=True) if h and (w == good) is k] for k in (True, False)
    ]
    limits = fit_limits(kinds[0], kinds[1], camera="half", start=DEFAULT_LIMITS, most_refused=MOST_REFUSED)
    others = [one for one, h in zip(looked, here, strict=True) if not h]
    their_words = [word for word, h in zip(words, here, strict=True) if not h]
    report = measure_gradability(others, their_words, good, limits, rng=rng, rounds=0)
    return {
        "auc": report.auc or 0.0,
        "good_refused": report.good_refused.share,
        "others_refused": report.others_refused.share,
    }


def graded_report(labels: Sequence[Path], split: str) -> dict[str, Any]:
    """How many photographs of each set the default limits refuse; sets without splits are taken whole."""
    report: dict[str, Any] = {}
    for path in labels:
        rows = read_labels([path], None)
        chosen = [row for row in rows if row.split == split] or list(rows)
        looked = readable(chosen)
        reasons = [one.reasons(DEFAULT_LIMITS) for one in looked]
        words = [one.photograph.extra.get("quality") or "(none)" for one in looked]
        refused = share_of(sum(map(bool, reasons)), len(reasons))
        report[path.parent.name] = {
            "split": split if len(chosen) < len(rows) else "all",
            "refused": refused.model_dump(),
            "by_quality_label": {
                word: [sum(bool(r) for r, w in zip(reasons, words, strict=True) if w == word), words.count(word)]
                for word in sorted(set(words))
            },
            "reasons": dict(Counter(reason for found in reasons for reason in found)),
        }
        print(path.parent.name, json.dumps(report[path.parent.name]), flush=True)
    return report


def least_times(session: Session, path: Path) -> tuple[float, ...] | None:
    """Milliseconds of quality, decode and inference, the least of some rounds; None for what is not graded."""
    rounds = []
    for _ in range(TIME_ROUNDS):
        looked = look(path, session.manifest.image)
        examined = judge(session, looked)
        if looked.prepared is None or examined.prediction is None:
            return None
        rounds.append((looked.quality_ms, looked.prepared.decode_ms, examined.result.ms["infer"]))
    return tuple(min(times) for times in zip(*rounds, strict=True))


def cost_report(labels: Sequence[Path], engine: Path | None) -> dict[str, Any]:
    """Milliseconds of `assess`, and its share of decode and inference."""
    cv2.setNumThreads(1)
    square = prepare(undegraded(np.random.default_rng(0)), IMAGE)
    least = float("inf")
    for _ in range(COST_ROUNDS):
        started = time.process_time()
        for _ in range(COST_CALLS):
            assess(square)
        least = min(least, (time.process_time() - started) / COST_CALLS)
    report: dict[str, Any] = {"assess_cpu_ms": round(1e3 * least, 3)}
    if engine is not None:
        paths = [row.path for path in labels for row in read_labels([path], None)[:60]]
        with open_session(open_engine(engine)) as session:
            rows = [times for path in paths if (times := least_times(session, path)) is not None]
        quality, decode, infer = np.median(np.array(rows), axis=0).tolist()
        report |= {
            "photographs": len(rows),
            "quality_p50_ms": round(quality, 3),
            "decode_p50_ms": round(decode, 3),
            "infer_p50_ms": round(infer, 3),
            "quality_over_decode_and_infer": round(float(np.median([q / (d + i) for q, d, i in rows])), 4),
        }
    print("cost", report, flush=True)
    return report


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phantoms", type=int, default=100)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--gradability", type=Path)
    parser.add_argument("--good", default="good")
    parser.add_argument("--graded", type=Path, action="append", default=[])
    parser.add_argument("--split", default="test")
    parser.add_argument("--engine", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    report: dict[str, Any] = {"limits_sha256": DEFAULT_LIMITS.sha256}
    report["cost"] = cost_report(arguments.graded, arguments.engine)
    if arguments.gradability:
        report["gradability"] = gradability_report(arguments.gradability, arguments.good)
    if arguments.graded:
        report["graded"] = graded_report(arguments.graded, arguments.split)
    if arguments.phantoms:
        report["phantoms"] = phantom_report(arguments.phantoms, arguments.seed)
    write_result(arguments.json, report)


if __name__ == "__main__":
    main()
