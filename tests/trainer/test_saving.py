"""A limit on the size of files stands for a full disk: the same errors from the same calls."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sall_edge.errors import OutputError
from sall_edge.spec import Method
from trainer.progress import Silence
from trainer.saving import reserved_map, save_tensors
from trainer.train import train


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_tensors_without_room_are_an_error_with_a_remedy(tmp_path: Path) -> None:
    with no_file_above(1000), pytest.raises(OutputError, match="cannot write") as caught:
        save_tensors({"a": torch.zeros(1000)}, tmp_path / "a.safetensors")
    assert "free some space" in caught.value.fix


def test_a_map_without_room_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with no_file_above(1000), pytest.raises(OSError, match="File too large"):
        reserved_map(tmp_path / "a.npy", np.uint8, (5000,))
    assert not list(tmp_path.iterdir())


def test_a_map_takes_its_room_at_once(tmp_path: Path) -> None:
    reserved_map(tmp_path / "a.npy", np.uint8, (1_000_000,))
    assert (tmp_path / "a.npy").stat().st_blocks * 512 >= 1_000_000


def test_a_run_that_filled_the_disk_goes_on_to_the_same_bits(photographs, tasks, quick, cache, tmp_path) -> None:
    options = replace(quick, method=Method.MULTITASK)
    (whole,) = train(photographs, tasks, options, tmp_path / "whole", resume=False, report=Silence(), cache=cache)
    run = tmp_path / "full"
    with no_file_above(300_000), pytest.raises(OutputError, match="cannot write"):
        train(photographs, tasks, options, run, resume=False, report=Silence(), cache=cache)
    assert not list((run / "state").iterdir())  # nothing half-written
    (resumed,) = train(photographs, tasks, options, run, resume=True, report=Silence(), cache=cache)
    first, second = (load_file(checkpoint.path / "weights.safetensors") for checkpoint in (whole, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)
