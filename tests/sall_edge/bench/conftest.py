"""Reports that take a second to write, written once."""

from pathlib import Path

import pytest
from fakes.made_up_report import ABSENT, HOSTILE, flip, full_report, write_made_up

from sall_edge.bench.measure import BenchReport
from sall_edge.spec import Profile, Task, TaskSet


@pytest.fixture(scope="session")
def tasks(retina_tasks: TaskSet) -> tuple[Task, ...]:
    return retina_tasks.tasks


@pytest.fixture(scope="session")
def full_bench(tasks: tuple[Task, ...]) -> BenchReport:
    return full_report(tasks, engine=f"engines/int8 {HOSTILE}")


@pytest.fixture(scope="session")
def report_folder(full_bench: BenchReport, tasks: tuple[Task, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the report of one engine."""
    path = tmp_path_factory.mktemp("report") / "pages"
    write_made_up(path / "bench.html", tasks, full_bench)
    return path


@pytest.fixture(scope="session")
def page_of_one(report_folder: Path) -> str:
    return (report_folder / "bench.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def page_of_three(full_bench: BenchReport, tasks: tuple[Task, ...], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A full one, one that is not for claims, and one with nothing but its speed."""
    flips = tuple(flip(f"photos/{i:03d}.jpg", is_lost=i < 5) for i in range(70))
    quick = full_report(
        tasks, engine="engines/quick", profile=Profile.QUICK, flips=flips, not_for_claims=("it was short", "it was hot")
    )
    path = tmp_path_factory.mktemp("three") / "three.html"
    return write_made_up(path, tasks, full_bench, quick, full_report(tasks, engine="engines/bare", **ABSENT))
