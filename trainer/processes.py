"""Processes that train one network together: one on a laptop, one for each GPU of a server or of several.

`accelerate launch` starts them and says through the environment which is which; without it there is one. Each takes
its share of every batch, gradients are averaged, and the first one alone validates and writes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from accelerate import PartialState
from accelerate.utils import broadcast, broadcast_object_list, reduce
from torch import Generator, nn
from torch.nn.parallel import DistributedDataParallel

from sall_edge.errors import TrainingError
from trainer.options import TrainingOptions

__all__ = ["Processes"]

T = TypeVar("T")


class Processes:
    """This process among those that train together.

    Args:
        options: The batch that they share.

    Attributes:
        index: Of this process, from 0.
        count: Of all processes, on all machines.
        device: Where this process computes.

    Raises:
        TrainingError: The batch cannot be shared evenly.
    """

    def __init__(self, options: TrainingOptions) -> None:
        self._state = PartialState(cpu=not torch.cuda.is_available())
        self.index: int = self._state.process_index
        self.count: int = self._state.num_processes
        self.device: torch.device = self._state.device
        if options.batch_size % self.count or options.batch_size < 2 * self.count:
            what = f"{self.count} processes cannot share a batch of {options.batch_size}"
            fix = f"give batch_size a multiple of {self.count}, such as {16 * self.count}"
            raise TrainingError(what, "each takes the same number of photographs, two at least", fix)

    @property
    def is_first(self) -> bool:
        """Whether this is the process that validates and writes."""
        return self.index == 0

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """The first process runs the block before the others: they find what it wrote."""
        with self._state.main_process_first():
            yield

    def from_first(self, compute: Callable[[], T]) -> T:
        """What the first process computes, in all of them; the others wait."""
        answer = [compute() if self.is_first else None]
        if self.count > 1:
            broadcast_object_list(answer)
        return answer[0]  # type: ignore[return-value]  # T, from the first process

    def share(self, positions: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
        """This process's part of a batch."""
        return positions[self.index :: self.count]

    def part(self, generator: Generator) -> None:
        """Gives every process but the first other random numbers from here on, this generator's and torch's own."""
        if self.index:
            generator.manual_seed(generator.initial_seed() + self.index)
            torch.manual_seed(generator.initial_seed())

    def learner(self, module: nn.Module) -> nn.Module:
        """The module on its device; with several processes its gradients are averaged over them."""
        module = module.to(self.device)
        if self.count == 1:
            return module
        return DistributedDataParallel(module, device_ids=[self.device] if self.device.type == "cuda" else None)

    def mean(self, value: float) -> float:
        """Of a number that every process has its own of."""
        if self.count == 1:
            return value
        own = torch.tensor(value, dtype=torch.float64, device=self.device)
        return float(reduce(own, reduction="mean"))

    def agree(self, network: nn.Module) -> None:
        """Gives every process the first one's weights and batch statistics."""
        if self.count > 1:
            for tensor in network.state_dict().values():
                tensor.copy_(broadcast(tensor))
