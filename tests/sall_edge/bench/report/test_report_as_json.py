"""One engine is an object, several are a list."""

import json

from fakes.made_up_report import full_report

from sall_edge.bench.report.as_json import json_from_reports
from sall_edge.spec import TaskSet


def test_one_engine_is_an_object_and_several_are_a_list(retina_tasks: TaskSet) -> None:
    report = full_report(retina_tasks.tasks)
    one = json.loads(json_from_reports([report]))
    assert one["engine"] == "engines/int8"
    assert one["flips"][0]["from"] == "referable"
    assert json.loads(json_from_reports([report, report])) == [one, one]
