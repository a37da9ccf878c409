from pathlib import Path

from engines.timing_cache import cache_path, read_cache, write_cache
from sall_edge.runtime.cuda import GpuFacts

ORIN = GpuFacts(name="Orin (nvgpu)", compute_capability="8.7", multiprocessors=8, is_integrated=True)


def test_every_library_version_and_gpu_has_a_cache_of_its_own(tmp_path: Path) -> None:
    larger = GpuFacts(name=ORIN.name, compute_capability="8.7", multiprocessors=16, is_integrated=True)
    names = {
        cache_path(tmp_path, library=library, version=version, gpu=gpu).name
        for library in ("tensorrt", "tensorrt_rtx")
        for version in ("10.3.0", "11.4.0")
        for gpu in (ORIN, larger)
    }
    assert len(names) == 8
    assert "tensorrt-10.3.0-Orin-nvgpu-sm8.7-8.timing" in names


def test_what_was_written_is_read(tmp_path: Path) -> None:
    place = tmp_path / "not there yet" / "a.timing"
    assert read_cache(place) == b""
    write_cache(place, b"measured")
    assert read_cache(place) == b"measured"


def test_a_place_that_cannot_be_written_costs_no_build(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    write_cache(tmp_path / "file" / "a.timing", b"measured")
    assert read_cache(tmp_path / "file" / "a.timing") == b""
