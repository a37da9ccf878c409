"""Which loss a method is."""

from torch import Tensor

from sall_edge.spec import Method
from trainer.loop import Batch, Loss
from trainer.losses import (
    distill_loss,
    feature_loss,
    label_smoothing_loss,
    multitask_loss,
    multitask_normal_loss,
    sall_loss,
    sall_paper_loss,
)
from trainer.options import TrainingOptions

__all__ = ["loss_of", "needs_teachers"]


def needs_teachers(method: Method) -> bool:
    """Whether a method learns from a network per task."""
    return method in (Method.DISTILL, Method.SALL_PAPER, Method.SALL, Method.SALL_FEATURE)


def loss_of(options: TrainingOptions) -> Loss:
    """The loss of the student of `options.method`; that of `single` is `multitask_loss` of its one task."""
    temperature, weight = options.soft_temperature, options.soft_weight

    def loss(batch: Batch) -> Tensor:
        logits, labels, soft = batch.logits, batch.labels, batch.soft
        match options.method:
            case Method.SINGLE | Method.MULTITASK:
                return multitask_loss(logits, labels)
            case Method.MULTITASK_NORMAL:
                return multitask_normal_loss(logits, labels)
            case Method.LABEL_SMOOTHING:
                return label_smoothing_loss(logits, labels, smoothing=options.smoothing)
            case Method.DISTILL:
                return distill_loss(logits, labels, soft, soft_weight=weight, temperature=temperature)
            case Method.SALL_PAPER:
                return sall_paper_loss(logits, labels, soft, temperature=temperature)
            case Method.SALL:
                return sall_loss(logits, labels, soft, soft_weight=weight, temperature=temperature)
            case Method.SALL_FEATURE:
                semantic = sall_loss(logits, labels, soft, soft_weight=weight, temperature=temperature)
                return semantic + options.feature_weight * feature_loss(batch.projected, labels, batch.features)

    return loss
