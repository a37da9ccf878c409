"""What an engine may lose in the gate: the limits that ship (`gates/*.toml`), or the user's own."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from sall_edge.errors import BuildError
from sall_edge.spec import ShippedSpecs, Spec

__all__ = ["GateLimits", "load_limits"]

Share = Annotated[float, Field(ge=0, le=1)]


class GateLimits(Spec):
    """What an engine may lose.

    Attributes:
        name: Stands in the report.
        least_photographs, least_referable: Labelled ones that a task needs before the gate says yes.
        grade_agreement: Least share of photographs with FP32's grade, whether they are labelled or not.
        lost_referrals, gained_referrals: Largest share of photographs whose referral the engine drops, or adds.
        referable_auc_kept: Least ratio of the engine's AUC to FP32's.
        kappa_loss, sensitivity_loss, specificity_loss: Largest FP32 less engine.
    """

    name: str
    least_photographs: Annotated[int, Field(ge=1)] = 100
    least_referable: Annotated[int, Field(ge=1)] = 10
    grade_agreement: Share = 0.99
    lost_referrals: Share = 0.003
    gained_referrals: Share = 0.02
    referable_auc_kept: Share = 0.999
    kappa_loss: Share = 0.01
    sensitivity_loss: Share = 0.01
    specificity_loss: Share = 0.02


_SHIPPED = ShippedSpecs(
    kind="set of limits",
    folder=Path(__file__).parent / "gates",
    model=GateLimits,
    error=BuildError,
    example="engines/gates",
)


def load_limits(name_or_path: str | Path) -> GateLimits:
    """The limits of that name, or those in a TOML file.

    Args:
        name_or_path: What ends in `.toml` is a path, everything else a name.

    Raises:
        BuildError: There are no such limits, or the file breaks a rule.
    """
    return _SHIPPED.load(name_or_path)
