"""What would spoil a report is found before anything is measured."""

import importlib.machinery
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from sall_edge.artifacts import Engine
from sall_edge.bench.report.files import beside, check_page, check_report
from sall_edge.errors import BackendMissing, OutputError

Run = Callable[..., Any]  # the fixture of tests/conftest.py


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Takes a library away."""

    def take(library: str) -> None:
        def found(name: str) -> importlib.machinery.ModuleSpec | None:
            return None if name == library else find_spec(name)

        monkeypatch.setattr("sall_edge.bench.report.files.find_spec", found)

    return take


def _measuring(*arguments: object, **options: object) -> None:
    raise AssertionError("measured before the report was known to be possible")


@pytest.mark.parametrize("library", ["jinja2", "matplotlib"])
def test_a_missing_library_is_named_with_its_remedy(
    library: str, without: Callable[[str], None], tmp_path: Path
) -> None:
    without(library)
    with pytest.raises(BackendMissing, match=f"{library} is not installed") as refused:
        check_page(tmp_path / "page.html")
    assert refused.value.why == "it makes page.html; nothing was measured yet"
    assert refused.value.fix == "pip install 'sall-edge[report]', or leave --html away"


def test_looking_for_the_libraries_does_not_load_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    check_page(tmp_path / "page.html")
    assert "matplotlib" not in sys.modules


def test_every_one_of_the_three_places_is_tried(tmp_path: Path) -> None:
    check_report(tmp_path / "new" / "page.html")
    assert not list((tmp_path / "new").iterdir())
    for name in ("page.html", "page.json", "page.md"):
        (tmp_path / name).mkdir()
        with pytest.raises(OutputError, match=f"cannot write .*{name}"):
            check_report(tmp_path / "page.html")
        (tmp_path / name).rmdir()


def test_a_page_cannot_have_the_name_of_its_json() -> None:
    assert beside(Path("a/page.html")) == (Path("a/page.json"), Path("a/page.md"))
    for name in ("page.json", "page.md"):
        with pytest.raises(OutputError, match=f"the page cannot be {name}") as refused:
            check_report(Path(name))
        assert refused.value.fix == "take page.html"


def test_bench_refuses_before_it_measures(
    sall_edge: Run,
    tiny_engine: Engine,
    tmp_path: Path,
    without: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sall_edge.cli.bench.bench_engine", _measuring)
    (tmp_path / "file").touch()
    done = sall_edge("bench", tiny_engine.path, "--html", tmp_path / "file" / "page.html")
    assert done.code == 1
    assert "cannot write" in done.err
    without("matplotlib")
    done = sall_edge("bench", tiny_engine.path, "--html", tmp_path / "page.html")
    assert done.code == 1
    assert "fix: pip install 'sall-edge[report]'" in done.err


def test_evaluate_and_demo_refuse_before_they_begin(
    sall_edge: Run, tmp_path: Path, without: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sall_edge.cli.demo._draw", _measuring)
    monkeypatch.setattr("sall_edge.cli.evaluate.open_engine", _measuring)
    without("jinja2")
    for command in (
        ["demo", "-o", tmp_path / "demo"],
        ["evaluate", tmp_path, "--labels", "labels.csv", "--html", tmp_path / "page.html"],
    ):
        done = sall_edge(*command)
        assert done.code == 1
        assert "jinja2 is not installed" in done.err
