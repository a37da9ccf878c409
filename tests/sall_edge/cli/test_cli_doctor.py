import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.jetson_board import ORIN_NANO_JP6, written

from sall_edge.runtime import jetson

Run = Callable[..., Any]  # the fixture of tests/conftest.py


def _details(done: Any) -> dict[str, str]:
    return {check["name"]: check["detail"] for check in json.loads(done.out)["checks"]}


def test_the_cache_is_where_the_environment_says(
    sall_edge: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert _details(sall_edge("doctor", "--json"))["write access to the cache"] == f"yes, {tmp_path / 'sall-edge'}"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    wanted = f"yes, {tmp_path / 'home' / '.cache' / 'sall-edge'}"
    assert _details(sall_edge("doctor", "--json"))["write access to the cache"] == wanted


def test_on_a_jetson_its_own_target_sets_the_memory_that_a_build_is_estimated_at(
    sall_edge: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = jetson.read_device(written(tmp_path, ORIN_NANO_JP6))
    monkeypatch.setattr(jetson, "read_device", lambda: device)
    details = _details(sall_edge("doctor", "--json"))
    assert details["memory for a build"].endswith("a build for orin-nano is estimated at 1.8 GiB")
    assert details["power mode"].startswith("25W;")
