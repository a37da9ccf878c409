"""What a user chooses between when something is trained, calibrated, drawn or measured."""

from enum import Enum

__all__ = ["Arithmetic", "Head", "Labelling", "Method", "Profile", "RangeMethod"]


class Method(str, Enum):
    """How the diseases learn from each other (Ju et al. 2021 and what it is compared with)."""

    SINGLE = "single"
    MULTITASK = "multitask"
    MULTITASK_NORMAL = "multitask-normal"
    LABEL_SMOOTHING = "label-smoothing"
    DISTILL = "distill"
    SALL_PAPER = "sall-paper"
    SALL = "sall"
    SALL_FEATURE = "sall-feature"


class Arithmetic(str, Enum):
    """What convolutions compute in while training; weights and losses are float32 in both.

    Attributes:
        FLOAT32: Everywhere the same, and the default.
        BFLOAT16: Faster where the processor multiplies bfloat16 in hardware, much slower elsewhere.
    """

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Head(str, Enum):
    """What turns features into grades.

    Attributes:
        SOFTMAX: A free linear layer, as in the paper: the order of the grades is left to the labels.
        ORDINAL: Adjacent-categories logit: every step to the next grade follows one direction of the features.
    """

    SOFTMAX = "softmax"
    ORDINAL = "ordinal"


class RangeMethod(str, Enum):
    """How the range of an activation is read from its histogram."""

    MINMAX = "minmax"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"
    MSE = "mse"


class Labelling(str, Enum):
    """Which labels phantoms keep.

    Attributes:
        COMPLETE: Both diseases' of every photograph.
        ONE_DISEASE: In train one disease's, at random for each patient, as in sets collected for one disease (they show
            the other one too, unlabelled), which is what SALL is made for; both of normal photographs, of val and test.
    """

    COMPLETE = "complete"
    ONE_DISEASE = "one-disease"


class Profile(str, Enum):
    """How a bench asks.

    Attributes:
        QUICK: A first look.
        STANDARD: As long as MLPerf asks for.
        CLINIC: A photograph now and then, from file to verdict.
        SOAK: Half an hour without a pause.
    """

    QUICK = "quick"
    STANDARD = "standard"
    CLINIC = "clinic"
    SOAK = "soak"

    @property
    def seconds(self) -> float:
        """Least time of what the profile is for: the latency run, or the clinic."""
        match self:
            case Profile.QUICK:
                return 60
            case Profile.STANDARD:
                return 600
            case Profile.CLINIC | Profile.SOAK:
                return 1800
