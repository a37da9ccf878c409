"""A report as files: nothing from the network, nothing that a file name can break, and no measurement lost."""

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from fakes.made_up_report import HOSTILE, accuracy, write_made_up
from fakes.parsed_page import ParsedPage

from sall_edge.bench.measure import BenchReport
from sall_edge.bench.report.write import write_evaluation, write_report
from sall_edge.errors import OutputError
from sall_edge.spec import Task, TaskSet


def test_names_of_files_cannot_bring_code_into_the_page(page_of_one: str) -> None:
    assert "<script" not in page_of_one
    assert page_of_one.count("&lt;script") >= 3


def test_the_page_loads_nothing(page_of_three: str) -> None:
    parsed = ParsedPage(page_of_three)
    tags = {tag for tag, _ in parsed.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form", "source", "audio", "video"}
    loading = parsed.attributes("src", "href", "xlink:href", "srcset", "data", "poster", "action", "background")
    assert loading
    assert not [address for address in loading if not address.startswith(("data:image/jpeg;base64,", "#"))]
    assert not re.findall(r"url\((?!#)", page_of_three)
    assert "@import" not in page_of_three
    assert "@font-face" not in page_of_three
    assert not [value for value in parsed.attributes("style") if "//" in value]
    assert "http" not in page_of_three.replace("http://example.org/x.js", "")  # what the test itself put into the names


def test_those_who_do_not_see_it_can_read_it(page_of_three: str) -> None:
    parsed = ParsedPage(page_of_three)
    assert (
        page_of_three.count("<svg")
        == page_of_three.count('<svg role="img"')
        == len(re.findall(r"<svg[^>]*><title>[^<]+</title><desc>[^<]+", page_of_three))
    )
    assert all(attributes.get("scope") for tag, attributes in parsed.elements if tag == "th")
    assert all(attributes.get("alt") for tag, attributes in parsed.elements if tag == "img")
    assert ("html", {"lang": "en"}) in parsed.elements
    levels = [int(tag[1]) for tag, _ in parsed.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_names_in_the_page_are_unique_and_lead_somewhere(page_of_three: str) -> None:
    parsed = ParsedPage(page_of_three)
    names = Counter(parsed.attributes("id"))
    assert not [name for name, count in names.items() if count > 1]
    inner = {address[1:] for address in parsed.attributes("href") if address.startswith("#")}
    inner |= {name for names in parsed.attributes("aria-labelledby") for name in names.split()}
    inner |= set(re.findall(r"url\(#([^)]+)\)", page_of_three))
    assert inner <= set(names)


def test_an_engine_without_its_pictures_takes_little_room(page_of_one: str) -> None:
    without = re.sub(r'src="data:[^"]*"', "", page_of_one)
    assert len(without.encode()) < 400_000  # bytes, as docs/bench.md says


def test_json_beside_the_page_is_what_the_command_prints(
    report_folder: Path, page_of_one: str, full_bench: BenchReport
) -> None:
    assert "bench.json" in page_of_one
    written = json.loads((report_folder / "bench.json").read_text(encoding="utf-8"))
    assert written == full_bench.model_dump(mode="json", by_alias=True)
    assert written["flips"][0]["from"] == "referable"


def test_nothing_but_the_three_files_is_left(report_folder: Path) -> None:
    assert sorted(file.name for file in report_folder.iterdir()) == ["bench.html", "bench.json", "bench.md"]


def test_a_page_that_fails_leaves_the_measurement(
    full_bench: BenchReport, tasks: tuple[Task, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> str:
        raise RuntimeError("a diagram broke")

    monkeypatch.setattr("sall_edge.bench.report.write.bench_page", fail)
    with pytest.raises(RuntimeError, match="a diagram broke"):
        write_made_up(tmp_path / "bench.html", tasks, full_bench)
    assert json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))["engine"] == full_bench.engine
    assert not (tmp_path / "bench.html").exists()


def test_a_page_that_cannot_be_written_is_said(
    full_bench: BenchReport, tasks: tuple[Task, ...], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        write_made_up(tmp_path / "file" / "index.html", tasks, full_bench)


def test_a_report_takes_an_engine(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        write_report(tmp_path / "none.html", [], title="A bench", facts={})


def test_an_evaluation_shows_reliability_before_and_after_its_temperature(
    retina_tasks: TaskSet, tmp_path: Path
) -> None:
    grades = np.array([0, 0, 1, 2])
    sharp = np.full((4, 5), 0.025)
    sharp[np.arange(4), grades] = 0.9  # always right, and not sure enough
    path = tmp_path / "index.html"
    measured = accuracy(n=7)
    for temperatures, diagrams in (({"dr": 2.0}, 3), ({}, 2)):
        write_evaluation(
            path,
            {"dr": measured},
            {"dr": (grades, sharp)},
            retina_tasks.tasks,
            temperatures=temperatures,
            title=f"An evaluation {HOSTILE}",
            facts={"labels": HOSTILE},
        )
        page = path.read_text(encoding="utf-8")
        ParsedPage(page)
        assert page.count("<svg") == diagrams
        assert "<script" not in page
        assert "0.938" in page
        assert "Diabetic retinopathy: 7 photographs" in page
        # The logits' difference ln(0.9 / 0.025) doubles: 0.9969 of the probability, an error of 0.003.
        assert ("before the temperature of 2.00: ECE 0.003" in page) == bool(temperatures)
