"""What a training run can be told, with defaults that were measured on real photographs."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from sall_edge.errors import TrainingError
from sall_edge.spec import Arithmetic, Head, ImageSpec, Method
from trainer.augment import Augmentation

__all__ = ["TrainingOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """Everything that decides the result, besides the photographs.

    Attributes:
        method: `single` is one network per task, `multitask` one network with missing labels masked,
            `multitask-normal` takes them for normal, `label-smoothing` softens labels evenly, `distill` adds the same
            task's teacher where labelled. `sall-paper` and `sall` fill missing labels with teachers' soft ones:
            CE(t, softmax(z / T)) for all targets, as released, or cross-entropy where labelled and weighted
            distillation where not; `sall-feature` also draws the features towards the teachers'.
        backbone: timm name.
        weights: `imagenet`, `none`, or a file.
        image: The preparation.
        epochs: At most so many passes, each over as many photographs as the training split has.
        batch_size: Photographs a step.
        learning_rate: Peak of AdamW's rate; a tenth of the steps warm up, then it falls as a cosine.
        weight_decay: AdamW's, on weights of two and more dimensions.
        average_decay: Of the running average of the weights that is kept as the result; 0 keeps the last weights.
        head: `softmax` as in the paper, or `ordinal`, which knows the order of the grades.
        dropout: Before every head.
        frozen_groups: Groups of early backbone layers that keep their weights, see `SallNetwork.freeze`.
        seed: Decides every random draw.
        patience: Epochs without a better validation score before a stage ends.
        soft_weight: lambda of `sall`: weight of the teachers' labels.
        soft_temperature: T of the soft labels.
        feature_weight: beta of `sall-feature`: weight of the teachers' features.
        smoothing: Of `label-smoothing`: probability that goes to all grades evenly.
        consistency_weight: Of the agreement of two views of every photograph, in networks that are deployed, whatever
            the method (teachers are not); 0 shows each once and halves the time.
        views: Augmented versions of every photograph that frozen layers see once, see `trainer.frozen`; 0 augments anew
            in every epoch.
        wanted_sensitivity: A disease's operating point reaches it on the validation split.
        most_refused: Share of the gradable photographs of that split which the operating point of a quality task may
            refuse.
        augmentation: Limits of the random changes.
        arithmetic: Of the convolutions while training.

    Raises:
        TrainingError: A value is outside its range.
    """

    method: Method = Method.SALL
    backbone: str = "tf_efficientnet_lite0"
    weights: str = "imagenet"
    image: ImageSpec = field(default_factory=ImageSpec)
    epochs: int = 12
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    average_decay: float = 0.99
    head: Head = Head.SOFTMAX
    dropout: float = 0.5
    frozen_groups: int = 0
    seed: int = 0
    patience: int = 6
    soft_weight: float = 1.0
    soft_temperature: float = 3.0
    feature_weight: float = 1.0
    smoothing: float = 0.1
    consistency_weight: float = 2.0
    views: int = 0
    wanted_sensitivity: float = 0.9
    most_refused: float = 0.02
    augmentation: Augmentation = field(default_factory=Augmentation)
    arithmetic: Arithmetic = Arithmetic.FLOAT32

    def __post_init__(self) -> None:
        rules = {
            "epochs": (self.epochs >= 1, "at least 1", "12"),
            "batch_size": (self.batch_size >= 2, "at least 2, or batch normalisation has nothing to normalise", "32"),
            "learning_rate": (0 < self.learning_rate < 1, "between 0 and 1", "1e-3"),
            "weight_decay": (0 <= self.weight_decay < 1, "from 0 to below 1", "0.02"),
            "average_decay": (0 <= self.average_decay < 1, "from 0 to below 1", "0.99"),
            "dropout": (0 <= self.dropout < 1, "from 0 to below 1", "0.5"),
            "frozen_groups": (
                self.frozen_groups == 0 or (self.frozen_groups > 0 and self.weights != "none"),
                "at least 0, and 0 without weights: random layers must learn",
                "0",
            ),
            "seed": (self.seed >= 0, "at least 0", "0"),
            "patience": (self.patience >= 1, "at least 1", "6"),
            "soft_weight": (self.soft_weight >= 0, "at least 0", "1"),
            "soft_temperature": (self.soft_temperature > 0, "above 0", "3"),
            "feature_weight": (self.feature_weight >= 0, "at least 0", "1"),
            "consistency_weight": (self.consistency_weight >= 0, "at least 0", "2"),
            "smoothing": (0 <= self.smoothing < 1, "from 0 to below 1", "0.1"),
            "views": (
                self.views == 0 or (self.views > 0 and self.frozen_groups > 0),
                "at least 0, and 0 without frozen layers: only those give the same maps in every epoch",
                "0, or freeze layers",
            ),
            "most_refused": (0 <= self.most_refused < 1, "from 0 to below 1", "0.02"),
            "wanted_sensitivity": (0 < self.wanted_sensitivity <= 1, "above 0 and at most 1", "0.9"),
        }
        for name, (is_legal, rule, example) in rules.items():
            if not is_legal:
                raise TrainingError(f"{name} is {getattr(self, name)}", f"it is {rule}", f"give {name} {example}")

    def to_json(self) -> dict[str, Any]:
        """Plain values, for provenance and for comparing runs."""
        content: dict[str, Any] = {
            item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.name != "augmentation"
        }
        content |= {"method": self.method.value, "head": self.head.value, "arithmetic": self.arithmetic.value}
        content |= {"image": self.image.model_dump(mode="json"), "augmentation": dataclasses.asdict(self.augmentation)}
        return content
