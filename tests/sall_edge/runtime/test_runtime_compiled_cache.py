"""A cache of compiled networks saves time, and what is wrong with it costs time only."""

import os
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from fakes.tiny_graph import squares

from sall_edge.artifacts import Engine
from sall_edge.runtime import openvino
from sall_edge.runtime.compiled_cache import MOST_FILES, CompiledCache, cache_key
from sall_edge.runtime.session import open_session

NETWORK = b"compiled" * 100


@pytest.fixture
def cache(tmp_path: Path) -> CompiledCache:
    return CompiledCache(folder=tmp_path / "cache")


def only_file(cache: CompiledCache) -> Path:
    (path,) = cache.folder.iterdir()
    return path


def test_what_was_written_is_read(cache: CompiledCache) -> None:
    assert cache.read("a") is None
    cache.write("a", NETWORK)
    assert cache.read("a") == NETWORK
    assert cache.read("b") is None


@pytest.mark.parametrize("byte", [0, 40, -1])
def test_one_changed_byte_and_it_is_not_read(cache: CompiledCache, byte: int) -> None:
    cache.write("a", NETWORK)
    content = bytearray(only_file(cache).read_bytes())
    content[byte] ^= 1
    only_file(cache).write_bytes(content)
    assert cache.read("a") is None


@pytest.mark.parametrize("size", [0, 10, 70])
def test_a_part_of_it_is_not_read(cache: CompiledCache, size: int) -> None:
    cache.write("a", NETWORK)
    only_file(cache).write_bytes(only_file(cache).read_bytes()[:size])
    assert cache.read("a") is None


def test_what_others_may_write_is_not_read(cache: CompiledCache) -> None:
    cache.write("a", NETWORK)
    only_file(cache).chmod(0o664)
    assert cache.read("a") is None
    only_file(cache).chmod(0o644)
    cache.folder.chmod(0o777)
    assert cache.read("a") is None


def test_a_place_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = CompiledCache(folder=tmp_path / "file" / "cache")
    cache.write("a", NETWORK)
    assert cache.read("a") is None


def test_the_ones_used_longest_ago_make_room(cache: CompiledCache) -> None:
    for number in range(MOST_FILES):
        cache.write(f"{number}", NETWORK)
        os.utime(cache.folder / f"{number}.network", (number, number))
    assert cache.read("0") == NETWORK  # used now
    cache.write("new", NETWORK)
    assert len(list(cache.folder.iterdir())) == MOST_FILES
    assert cache.read("0") == cache.read("new") == NETWORK
    assert cache.read("1") is None


def test_keys_differ_when_anything_does() -> None:
    assert len({cache_key("a", 1), cache_key("a", 2), cache_key("b", 1), cache_key("a\n1"), cache_key("a")}) == 5


@pytest.mark.parametrize("streams", [1, 2])
def test_a_kept_network_gives_the_same_numbers_to_the_bit_and_compiles_nothing(
    int8_engine: Engine, cache: CompiledCache, streams: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = squares(5, seed=1)
    with open_session(int8_engine, streams=streams) as session:
        expected = [session.run(image) for image in images]
    open_session(int8_engine, streams=streams, compiled_cache=cache).close()

    def nothing(*arguments: object) -> None:
        raise AssertionError("compiled although it was kept")

    monkeypatch.setattr(ov.Core, "compile_model", nothing)
    with open_session(int8_engine, streams=streams, compiled_cache=cache) as session:
        for image, before in zip(images, expected, strict=True):
            after = session.run(image)
            for task in before.probs:
                np.testing.assert_array_equal(after.probs[task], before.probs[task])
                np.testing.assert_array_equal(after.cams[task], before.cams[task])


def test_a_network_that_openvino_refuses_is_compiled_again(int8_engine: Engine, cache: CompiledCache) -> None:
    open_session(int8_engine, compiled_cache=cache).close()
    key = only_file(cache).stem
    cache.write(key, NETWORK)  # whole, and no network
    with open_session(int8_engine, compiled_cache=cache) as session, open_session(int8_engine) as plain:
        image = squares(1, seed=2)[0]
        np.testing.assert_array_equal(session.run(image).probs["dr"], plain.run(image).probs["dr"])
    kept = cache.read(key)
    assert kept is not None
    assert kept != NETWORK


def test_engines_and_streams_have_entries_of_their_own(
    int8_engine: Engine, fp32_engine: Engine, cache: CompiledCache
) -> None:
    for engine, streams in ((int8_engine, 1), (fp32_engine, 1), (int8_engine, 2), (int8_engine, 1)):
        open_session(engine, streams=streams, compiled_cache=cache).close()
    assert len(list(cache.folder.iterdir())) == 3


def test_a_network_from_before_another_rewrite_is_not_used(
    int8_engine: Engine, cache: CompiledCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_session(int8_engine, compiled_cache=cache).close()
    monkeypatch.setattr(openvino, "REWRITE_VERSION", openvino.REWRITE_VERSION + 1)
    open_session(int8_engine, compiled_cache=cache).close()
    assert len(list(cache.folder.iterdir())) == 2
