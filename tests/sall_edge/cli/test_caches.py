from pathlib import Path

import pytest

from sall_edge.cli.caches import cache_folder, timing_caches


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "sall-edge"
    assert timing_caches() == tmp_path / "sall-edge" / "timing"


@pytest.mark.parametrize("value", ["", None])
def test_else_it_is_in_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str | None) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert cache_folder() == tmp_path / ".cache" / "sall-edge"
