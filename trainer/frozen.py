"""What frozen layers make of the photographs, computed once: the early, costly part of every step.

Frozen layers give the same maps in every epoch and for every method, so each photograph goes through augmentation and
the frozen layers a fixed number of times (its views), and the loop draws from these. A view costs as much disk as the
square itself with EfficientNet-Lite0 and three frozen groups at 224 px.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Real
from torch import Generator, Tensor, nn

from sall_edge.errors import OutputError, TrainingError
from sall_edge.writing import file_being_written
from trainer.augment import augment
from trainer.data import Squares, in_batches
from trainer.network import SallNetwork
from trainer.options import TrainingOptions
from trainer.progress import Progress
from trainer.saving import reserved_map
from trainer.state import seeded

__all__ = ["Views", "early_maps", "frozen_views", "pooled_from"]

_SAME = 1e-2
"""Largest difference, relative to the largest feature, that float16 maps may make."""

_BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """Maps that the frozen layers made of augmented squares.

    Attributes:
        maps: (photographs, views, C, h, w) float16 memory map, photographs as they stand in `Squares.pixels`.
    """

    maps: npt.NDArray[np.float16]

    def draw(self, rows: npt.NDArray[np.integer], generator: Generator) -> Float[Tensor, "N C h w"]:
        """One view, drawn evenly, of each of these rows of `Squares.pixels`."""
        chosen = torch.randint(0, self.maps.shape[1], (len(rows),), generator=generator).numpy()
        maps = torch.from_numpy(self.maps[rows, chosen]).float()
        return maps.contiguous(memory_format=torch.channels_last)


def early_maps(network: SallNetwork, images: Real[Tensor, "N side side 3"]) -> Float[Tensor, "N C h w"]:
    """What the last frozen layer gives; the layers after it are not computed."""
    caught: list[Tensor] = []

    def stop(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        caught.append(output)
        raise _Stop

    handle = _frozen_modules(network)[-1].register_forward_hook(stop)
    try:
        network.features(images)
    except _Stop:
        pass
    finally:
        handle.remove()
    return caught[0]


def pooled_from(network: SallNetwork, maps: Float[Tensor, "N C h w"]) -> Float[Tensor, "N C2"]:
    """`network.pooled`, from what `early_maps` gave."""
    with _frozen_replaced(network, maps):
        features: Tensor = network.backbone(maps)
    return features.mean(dim=(2, 3))


def frozen_views(
    network: SallNetwork, squares: Squares, options: TrainingOptions, folder: Path, *, progress: Progress
) -> Views:
    """`options.views` views of every square, from `folder` where they are already there.

    Args:
        network: Its frozen layers have their final statistics.
        squares: All training squares; `Squares.rows` are the rows of the result.
        options: How many views, and how squares are augmented.
        folder: For `views.npy` and `views.json`; a run that was killed goes on where it was.
        progress: Advances by views.

    Raises:
        TrainingError: The backbone cannot be cut behind its frozen layers.
        OutputError: The folder cannot be written, a full disk included.
    """
    key = _key(network, squares, options)
    shape = (len(squares.pixels), options.views, *_check_cut(network, squares))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        maps, done = _opened(folder, key, shape)
        progress.stage("views", options.views)
        progress.advance(done)
        for view in range(done, options.views):
            _fill(maps, view, network, squares, options)
            if isinstance(maps, np.memmap):
                maps.flush()
            with file_being_written(folder / "views.json") as temporary:
                temporary.write_text(json.dumps({"key": key, "done": view + 1}), encoding="utf-8")
            progress.advance()
    except OSError as cause:
        fix = f"free {np.prod(shape) * 2 / 1e9:.1f} GB, ask for fewer views, or for none: --views 0"
        raise OutputError(f"cannot write {folder / 'views.npy'}", cause.strerror or str(cause), fix) from cause
    return Views(maps=maps)


class _Stop(Exception):
    """Ends a forward pass where its result is known."""


def _frozen_modules(network: SallNetwork) -> list[nn.Module]:
    """The largest modules of the backbone that are wholly frozen, in order."""
    found: list[nn.Module] = []
    inside: tuple[str, ...] = ()
    for name, module in network.backbone.named_modules():
        if inside and name.startswith(inside):
            continue
        parameters = list(module.parameters())
        if name and parameters and not any(parameter.requires_grad for parameter in parameters):
            found.append(module)
            inside += (f"{name}.",)
    if not found:
        raise TrainingError("views of frozen layers need frozen layers", "none is frozen", "add --frozen-groups 3")
    return found


@contextmanager
def _frozen_replaced(network: SallNetwork, maps: Tensor) -> Iterator[None]:
    """Frozen modules hand on what they get, the last one gives the maps instead."""
    modules = _frozen_modules(network)
    for module in modules[:-1]:
        module.forward = lambda x: x
    modules[-1].forward = lambda x: maps
    try:
        yield
    finally:
        for module in modules:
            del module.forward


def _check_cut(network: SallNetwork, squares: Squares) -> tuple[int, ...]:
    """Shape of a view; the network must give the same features with and without the cut."""
    images = squares.images(np.arange(min(2, len(squares))))
    fix = "train without views: --views 0"
    with torch.no_grad():
        network.eval()
        maps = early_maps(network, images)
        try:
            pooled = pooled_from(network, maps.half().float())
        except RuntimeError as cause:
            what = f"{network.backbone_name} cannot be cut behind its frozen layers"
            raise TrainingError(what, str(cause).splitlines()[0], fix) from cause
        whole = network.pooled(images)
    if (pooled - whole).abs().max() > _SAME * whole.abs().max():
        why = "the layers behind the cut also read what comes before it"
        raise TrainingError(f"{network.backbone_name} cannot be cut behind its frozen layers", why, fix)
    return tuple(maps.shape[1:])


def _key(network: SallNetwork, squares: Squares, options: TrainingOptions) -> str:
    """Hex digest of everything that the views depend on."""
    digest = hashlib.sha256()
    digest.update(json.dumps([options.to_json()["augmentation"], options.image.sha256, options.views]).encode())
    digest.update(f"{squares.sha256} {squares.rows.tolist()} {network.mean} {network.std}".encode())
    for module in _frozen_modules(network):
        for tensor in module.state_dict().values():
            digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _opened(folder: Path, key: str, shape: tuple[int, ...]) -> tuple[npt.NDArray[np.float16], int]:
    """The maps, and how many views they hold already."""
    path = folder / "views.npy"
    try:
        content = json.loads((folder / "views.json").read_text(encoding="utf-8"))
        maps = np.load(path, mmap_mode="r+")
        if content["key"] == key and maps.shape == shape:
            return maps, int(content["done"])
    except (OSError, ValueError, KeyError, TypeError):  # what cannot be read is made again
        pass
    (folder / "views.json").unlink(missing_ok=True)
    return reserved_map(path, np.float16, shape), 0


def _fill(
    maps: npt.NDArray[np.float16], view: int, network: SallNetwork, squares: Squares, options: TrainingOptions
) -> None:
    # The views depend on no option but those in `_key`, so that all methods and seeds of a study share them.
    with torch.no_grad(), seeded(0, "views", view) as generator:
        network.eval()
        for positions in in_batches(len(squares), _BATCH):
            images = augment(squares.images(positions), options.augmentation, generator)
            maps[squares.rows[positions], view] = early_maps(network, images).half().cpu().numpy()
