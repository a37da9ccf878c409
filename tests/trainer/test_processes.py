"""Several processes that train one network, on the CPU: real processes, real exchange of gradients (gloo)."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sall_edge.artifacts import open_checkpoint
from sall_edge.errors import TrainingError
from trainer.options import TrainingOptions
from trainer.processes import Processes

SAME = 1e-4
"""Relative; float32 sums in another order, over nine steps."""


def launched(count: int, *arguments: object) -> None:
    """Runs `python ARGUMENTS` as so many processes, told which they are as every launcher tells them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
    shared |= {"GLOO_SOCKET_IFNAME": "lo"}  # a machine without a network has this one
    running = [
        subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env={**os.environ, **{k: str(v) for k, v in {**shared, "RANK": rank, "LOCAL_RANK": rank}.items()}},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(count)
    ]
    told = [process.communicate(timeout=300)[0] for process in running]
    assert not any(process.returncode for process in running), "\n".join(told)


@pytest.mark.slow
def test_two_processes_give_the_loss_curve_of_one_with_the_whole_batch(tmp_path: Path) -> None:
    script = Path(__file__).with_name("one_of_the_processes.py")
    curves = {}
    for count in (1, 2):
        folder = tmp_path / str(count)
        folder.mkdir()
        launched(count, script, folder)
        content = json.loads((folder / "history.json").read_text())
        assert content["processes"] == count
        curves[count] = [record["loss"] for record in content["history"]]
    assert len(curves[1]) == 3
    assert curves[1][0] > curves[1][-1]
    assert curves[2] == pytest.approx(curves[1], rel=SAME)


@pytest.mark.slow
def test_the_command_trains_with_two_processes_and_one_of_them_writes(labels_csv: Path, tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.toml"
    tasks.write_text(
        '[[tasks]]\nname = "red"\ntitle = "Red"\ncolumn = "red_grade"\ngrades = ["none", "some", "much"]\n'
        'referable_from = 1\n[[tasks]]\nname = "green"\ntitle = "Green"\ncolumn = "green_grade"\n'
        'grades = ["none", "much"]\nreferable_from = 1\n',
        encoding="utf-8",
    )
    launched(
        2, "-m", "sall_edge", "train", tasks, "--labels", labels_csv, "-o", tmp_path / "run", "--backbone",
        "test_efficientnet", "--weights", "none", "--side", "32", "--epochs", "1",
    )  # fmt: skip
    assert open_checkpoint(tmp_path / "run" / "checkpoint").manifest.tasks[0].name == "red"
    assert not list((tmp_path / "run" / "state").iterdir())


def test_one_process_takes_the_whole_batch_and_waits_for_nobody() -> None:
    together = Processes(TrainingOptions())
    assert (together.index, together.count, together.is_first) == (0, 1, True)
    assert together.share(np.arange(5)).tolist() == [0, 1, 2, 3, 4]
    assert together.from_first(lambda: "seen") == "seen"
    assert together.mean(0.25) == 0.25


def test_other_processes_draw_other_numbers_and_the_first_goes_on_with_its_own() -> None:
    drawn = []
    for index in (0, 1):
        together = Processes(TrainingOptions())
        together.index = index
        generator = torch.Generator().manual_seed(3)
        together.part(generator)
        drawn.append(torch.rand(4, generator=generator))
    assert torch.equal(drawn[0], torch.rand(4, generator=torch.Generator().manual_seed(3)))
    assert not torch.equal(*drawn)


def test_a_batch_that_cannot_be_shared_evenly_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "trainer.processes.PartialState", lambda cpu: SimpleNamespace(process_index=0, num_processes=3, device="cpu")
    )
    with pytest.raises(TrainingError, match="3 processes cannot share a batch of 32") as caught:
        Processes(TrainingOptions())
    assert caught.value.fix == "give batch_size a multiple of 3, such as 48"
