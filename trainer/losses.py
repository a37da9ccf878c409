"""The losses of the methods, as pure functions: one value per image, the caller averages over the batch.

Logits are a mapping from task name to raw (N, K) values; labels are (N, tasks) grades in the same task order, -1 where
the grade is unknown; soft targets are a mapping from task name to (N, K) probabilities.
"""

from collections.abc import Mapping

from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

__all__ = [
    "UNKNOWN",
    "consistency_loss",
    "distill_loss",
    "distillation_loss",
    "feature_loss",
    "hard_loss",
    "label_smoothing_loss",
    "multitask_loss",
    "multitask_normal_loss",
    "paper_loss",
    "rounding_loss",
    "sall_loss",
    "sall_paper_loss",
]

UNKNOWN = -1

Logits = Mapping[str, Tensor]
Soft = Mapping[str, Tensor]


def hard_loss(logits: Float[Tensor, "N K"], labels: Int64[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Cross-entropy with the label, 0 where it is unknown. No reduction, temperature 1."""
    return functional.cross_entropy(logits, labels, ignore_index=UNKNOWN, reduction="none")


def distillation_loss(
    logits: Float[Tensor, "N K"], soft: Float[Tensor, "N K"], *, temperature: float
) -> Float[Tensor, " N"]:
    """T^2 KL(soft || softmax(logits / T)), summed over grades, no reduction over images.

    T^2 keeps the gradient's size when T changes (Hinton, Vinyals and Dean 2015, arXiv 1503.02531, section 2). `soft`
    was made with the same temperature.
    """
    log_probabilities = functional.log_softmax(logits / temperature, dim=1)
    divergence = functional.kl_div(log_probabilities, soft, reduction="none").sum(dim=1)
    return temperature**2 * divergence


def consistency_loss(logits: Logits) -> Float[Tensor, " N"]:
    """The disagreement of two views of the same eye: (KL(a || b) + KL(b || a)) / 2, summed over tasks.

    A verdict that neither pose nor flash nor the noise of the sensor moves is not moved by the rounding of INT8 either
    (stability training, Zheng et al. 2016, arXiv 1604.04293; symmetric as in R-Drop, Wu et al. 2021, arXiv 2106.14448).

    Args:
        logits: Raw (2 N, K) by task: N photographs, then other views of the same ones in the same order.
    """
    losses = []
    for z in logits.values():
        first, second = functional.log_softmax(z, dim=1).chunk(2)
        losses.append(0.5 * ((first.exp() - second.exp()) * (first - second)).sum(dim=1))
    return sum(losses[1:], start=losses[0])


def rounding_loss(logits: Logits) -> Float[Tensor, " N"]:
    """What rounding does to a photograph's logits: the mean square of their change, summed over tasks.

    What all grades of a task have in common is left out, as the softmax leaves it out.

    Args:
        logits: Raw (2 N, K) by task: N photographs, then the same ones with rounded maps.
    """
    losses = []
    for z in logits.values():
        exact, rounded = (z - z.mean(dim=1, keepdim=True)).chunk(2)
        losses.append((exact - rounded).square().mean(dim=1))
    return sum(losses[1:], start=losses[0])


def paper_loss(
    logits: Float[Tensor, "N K"], target: Float[Tensor, "N K"], *, temperature: float
) -> Float[Tensor, " N"]:
    """CE(target, softmax(logits / T)), no reduction: Ju et al. 2021 as in their release, for hard and soft alike."""
    return -(target * functional.log_softmax(logits / temperature, dim=1)).sum(dim=1)


def multitask_loss(logits: Logits, labels: Int64[Tensor, "N tasks"]) -> Float[Tensor, " N"]:
    """Cross-entropy summed over the tasks that an image is labelled for; the others are masked."""
    losses = [hard_loss(z, labels[:, k]) for k, z in enumerate(logits.values())]
    return sum(losses[1:], start=losses[0])


def multitask_normal_loss(logits: Logits, labels: Int64[Tensor, "N tasks"]) -> Float[Tensor, " N"]:
    """`multitask_loss` with every missing label taken for grade 0: what a hospital's records silently say."""
    return multitask_loss(logits, labels.clamp_min(0))


def label_smoothing_loss(logits: Logits, labels: Int64[Tensor, "N tasks"], *, smoothing: float) -> Float[Tensor, " N"]:
    """`multitask_loss` with `smoothing` of the probability spread evenly over the grades (Szegedy et al. 2016,
    arXiv 1512.00567): soft labels that know nothing of the photograph.
    """
    losses = [
        functional.cross_entropy(z, labels[:, k], ignore_index=UNKNOWN, reduction="none", label_smoothing=smoothing)
        for k, z in enumerate(logits.values())
    ]
    return sum(losses[1:], start=losses[0])


def distill_loss(
    logits: Logits, labels: Int64[Tensor, "N tasks"], soft: Soft, *, soft_weight: float, temperature: float
) -> Float[Tensor, " N"]:
    """Cross-entropy plus `soft_weight` times distillation from the same task's teacher, both where labelled.

    It gives the student what knowledge distillation alone gives: no label crosses from one disease to the other.
    """
    loss = multitask_loss(logits, labels)
    for k, (name, z) in enumerate(logits.items()):
        known = labels[:, k] != UNKNOWN
        loss = loss + soft_weight * known * distillation_loss(z, soft[name], temperature=temperature)
    return loss


def feature_loss(
    projected: Mapping[str, Tensor], labels: Int64[Tensor, "N tasks"], features: Mapping[str, Tensor]
) -> Float[Tensor, " N"]:
    """1 - cos(W_b g(x), g_b(x)) summed over the tasks b that an image is not labelled for; no reduction over images.

    The feature signal of the method (inferred: the abstract speaks of the feature space, the release has no such term).

    Args:
        projected: W_b g(x), (N, C_b) by task: the student's features through a linear map of its own.
        labels: Grades, which say where a label is missing.
        features: g_b(x), (N, C_b) by task, in the same order as `labels`: the teachers' pooled features.
    """
    losses = [
        (labels[:, k] == UNKNOWN) * (1 - functional.cosine_similarity(projected[name], of_teacher, dim=1))
        for k, (name, of_teacher) in enumerate(features.items())
    ]
    return sum(losses[1:], start=losses[0])


def sall_loss(
    logits: Logits, labels: Int64[Tensor, "N tasks"], soft: Soft, *, soft_weight: float, temperature: float
) -> Float[Tensor, " N"]:
    """Cross-entropy for labelled tasks plus `soft_weight` times distillation for unlabelled ones, summed over tasks.

    The general form of the method (inferred from the abstract and the release, which fix the targets). An image that is
    labelled for every task, such as one that is normal for all, keeps its one-hot labels alone.
    """
    loss = multitask_loss(logits, labels)
    for k, (name, z) in enumerate(logits.items()):
        missing = labels[:, k] == UNKNOWN
        loss = loss + soft_weight * missing * distillation_loss(z, soft[name], temperature=temperature)
    return loss


def sall_paper_loss(
    logits: Logits, labels: Int64[Tensor, "N tasks"], soft: Soft, *, temperature: float
) -> Float[Tensor, " N"]:
    """Plain sum over heads of `paper_loss` with one-hot targets where labelled, soft targets elsewhere.

    The release divides every head by T inside the model, in training and at inference; here the checkpoint's
    temperature, fitted on raw logits, takes that factor in.
    """
    losses = []
    for k, (name, z) in enumerate(logits.items()):
        known = labels[:, k] != UNKNOWN
        one_hot = functional.one_hot(labels[:, k].clamp_min(0), z.shape[1]).to(z.dtype)
        losses.append(paper_loss(z, one_hot.where(known[:, None], soft[name]), temperature=temperature))
    return sum(losses[1:], start=losses[0])
