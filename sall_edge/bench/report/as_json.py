"""Benches as JSON: what `sall-edge bench --json` prints and what lies beside its page."""

import json
from collections.abc import Sequence

from sall_edge.bench.measure import BenchReport

__all__ = ["json_from_reports"]


def json_from_reports(reports: Sequence[BenchReport]) -> str:
    """An object for one engine, a list of them for several."""
    objects = [report.model_dump(mode="json", by_alias=True) for report in reports]
    return json.dumps(objects[0] if len(objects) == 1 else objects, indent=2)
