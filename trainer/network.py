"""The SALL network: one convolutional backbone, one linear head per disease."""

from collections.abc import Iterable, Mapping, Sequence

import timm
import torch
from jaxtyping import Float, Real
from torch import Tensor, nn

from sall_edge.errors import TrainingError
from sall_edge.spec import Head, Task
from trainer.heads import AdjacentCategories, head_of
from trainer.statistics import FieldStatistics

__all__ = ["SallNetwork"]

_CONVOLUTIONAL = "choose a convolutional backbone such as tf_efficientnet_lite0, resnet50 or inception_v3"


class SallNetwork(nn.Module):
    """Grades every disease from one set of features (the feature space that the diseases share).

    Every head is dropout and one linear layer on the globally averaged features, as in the SALL release. A linear head
    after an average makes a class activation map a 1x1 convolution of `features()` with `heads[task].weight`.

    Args:
        backbone: timm name of a convolutional network.
        tasks: What is graded, in output order.
        mean, std: Normalisation of pixels in 0..1, per RGB channel.
        dropout: Share of the pooled features that training drops before every head.
        head: Kind of head while training, see `finish`.

    Attributes:
        backbone: Normalised pixels to features.
        heads: Task name to linear layer, (K, C) weights.
        projections: Task name to a linear map of the features to its teacher's; empty unless a method asks for them,
            and no part of the finished network.

    Raises:
        TrainingError: timm has no such backbone, or its features are no map.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        *,
        backbone: str,
        tasks: tuple[Task, ...],
        mean: Sequence[float],
        std: Sequence[float],
        dropout: float = 0.5,
        head: Head = Head.SOFTMAX,
    ) -> None:
        super().__init__()
        self.backbone_name = backbone
        self.tasks = tasks
        self.mean = (mean[0], mean[1], mean[2])
        self.std = (std[0], std[1], std[2])
        self.backbone = _backbone(backbone)
        self.channels = int(self.backbone.head_hidden_size)  # type: ignore[arg-type]  # nn.Module types it as Tensor
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict({task.name: head_of(head, self.channels, len(task.grades)) for task in tasks})
        self.projections = nn.ModuleDict()
        # One multiplication and one addition take pixels in 0..255 to normalised values. They follow from mean and std,
        # which the manifest holds, so they are not among the weights.
        self.register_buffer("scale", torch.tensor([1 / (255 * s) for s in self.std]), persistent=False)
        self.register_buffer("shift", torch.tensor([-m / s for m, s in zip(mean, std, strict=True)]), persistent=False)
        self.to(memory_format=torch.channels_last)
        self._frozen: list[nn.Module] = []
        self._held: list[nn.Module] = []

    def freeze(self, groups: int) -> None:
        """Keeps the first groups of the backbone's layers as they are: no gradients, no batch statistics of their own.

        Early layers see edges and colours, which ImageNet taught well, and they cost most: their maps are the largest.

        Args:
            groups: Number of timm's coarse parameter groups, counted from the pixels; 0 freezes nothing.

        Raises:
            TrainingError: The backbone has fewer groups.
        """
        matcher = self.backbone.group_matcher(coarse=True)  # type: ignore[operator]  # nn.Module types it as Tensor
        found = timm.models.group_parameters(self.backbone, matcher)
        if not 0 <= groups < len(found):
            what = f"cannot freeze {groups} groups of {self.backbone_name}"
            raise TrainingError(
                what, f"it has {len(found)}, and the last must learn", "freeze fewer: --frozen-groups 3"
            )
        names = {name for group in range(groups) for name in found[group]}
        for prefix, module in self.backbone.named_modules():
            own = {f"{prefix}.{name}" for name, _ in module.named_parameters(recurse=False)}
            if own and own <= names:
                module.requires_grad_(False).eval()
                self._frozen.append(module)

    def adapt_frozen_statistics(self, batches: Iterable[Real[Tensor, "N side side 3"]]) -> None:
        """Gives frozen batch normalisation the statistics of these retinas; its weights stay.

        ImageNet's pictures have far more contrast than a retina, and the black around the retina has more than both.
        Under statistics of either, what lesions change hardly moves the first maps, and the noise of a sensor and the
        rounding of INT8 weigh as much. So the mean and the variance are taken inside the field of view, away from its
        rim (adaptive batch normalisation, Li et al. 2016, arXiv 1603.04779; the field is ours).

        Args:
            batches: (N, side, side, 3) RGB in 0..255 each, black outside the field; their statistics are averaged.
        """
        layers = [module for _, module in self._frozen_normalisation()]
        if not layers:
            return
        was_training = self.training
        self.eval()  # what is not frozen must not follow these batches
        with torch.no_grad(), FieldStatistics(layers) as statistics:
            for images in batches:
                statistics.show(images)
                self.features(images)
        self.train(was_training)

    def frozen_statistics(self) -> dict[str, Tensor]:
        """Mean and variance of every frozen batch normalisation, by their names in `state_dict`."""
        return {
            f"{name}.{kind}": getattr(module, kind)
            for name, module in self._frozen_normalisation()
            for kind in ("running_mean", "running_var")
        }

    def hold_statistics(self) -> None:
        """Batch normalisation keeps its mean and variance while training; its weights may learn."""
        self._held = [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]
        self.train(self.training)

    def _frozen_normalisation(self) -> list[tuple[str, nn.BatchNorm2d]]:
        return [
            (name, module)
            for name, module in self.named_modules()
            if module in self._frozen and isinstance(module, nn.BatchNorm2d)
        ]

    def train(self, mode: bool = True) -> "SallNetwork":
        """Training mode, except for what is frozen or held."""
        super().train(mode)
        for module in [*self._frozen, *self._held]:
            module.eval()
        return self

    def features(self, images: Real[Tensor, "N side side 3"]) -> Float[Tensor, "N C h w"]:
        """The feature map that all heads share.

        Args:
            images: (N, side, side, 3) RGB in 0..255: uint8 prepared squares, or float32 after augmentation.

        Returns:
            (N, C, h, w) float32, channels last in memory.
        """
        # Channels stand last in the pixels, so the permuted view is already what the CPU kernels want.
        images = images.to(self.scale.device)
        normalised = (images.float() * self.scale + self.shift).permute(0, 3, 1, 2)
        features: Tensor = self.backbone(normalised)
        return features

    def pooled(self, images: Real[Tensor, "N side side 3"]) -> Float[Tensor, "N C"]:
        """The globally averaged features, (N, C) float32, before dropout."""
        return self.features(images).mean(dim=(2, 3))

    def forward(self, images: Real[Tensor, "N side side 3"]) -> dict[str, Float[Tensor, "N K"]]:
        """Raw logits by task name, each (N, K) float32, before any temperature.

        Args:
            images: (N, side, side, 3) RGB in 0..255, see `features`.
        """
        return self.graded(self.pooled(images))

    def graded(self, pooled: Float[Tensor, "N C"]) -> dict[str, Float[Tensor, "N K"]]:
        """Raw logits by task name of pooled features."""
        return {name: head(self.dropout(pooled)) for name, head in self.heads.items()}

    def projected(self, pooled: Float[Tensor, "N C"]) -> dict[str, Float[Tensor, "N C2"]]:
        """Pooled features as each teacher would have them, by task name."""
        return {name: projection(pooled) for name, projection in self.projections.items()}

    def add_projections(self, channels: Mapping[str, int]) -> None:
        """Gives every task of the mapping a map to its teacher's number of features."""
        self.projections = nn.ModuleDict({name: nn.Linear(self.channels, size) for name, size in channels.items()})

    def finish(self) -> None:
        """Leaves what a checkpoint holds: no projections, and every head an ordinary linear layer."""
        self.add_projections({})
        for name, head in self.heads.items():
            if isinstance(head, AdjacentCategories):
                self.heads[name] = head.linear()


def _backbone(name: str) -> nn.Module:
    if not timm.is_model(name):
        close = ", ".join(timm.list_models(f"*{name.split('_')[0]}*")[:5])
        why = f"timm {timm.__version__} has no such architecture{'; close: ' + close if close else ''}"
        raise TrainingError(f"unknown backbone {name!r}", why, _CONVOLUTIONAL)
    backbone: nn.Module = timm.create_model(name, pretrained=False, num_classes=0, global_pool="")
    is_map = backbone.default_cfg.get("pool_size") is not None  # type: ignore[union-attr,operator]  # a dict in timm
    if not is_map or getattr(backbone, "output_fmt", "NCHW") != "NCHW":
        why = "activation maps need features of the form (N, C, h, w), and this backbone gives tokens"
        raise TrainingError(f"{name} cannot be a backbone", why, _CONVOLUTIONAL)
    return backbone
