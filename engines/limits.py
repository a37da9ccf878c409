"""What an engine may lose in the gate: the limits that ship (`gates/*.toml`), or the user's own."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from sall_edge.errors import BuildError
from sall_edge.spec import Spec, spec_from_toml

__all__ = ["GateLimits", "load_limits"]

Share = Annotated[float, Field(ge=0, le=1)]

_FOLDER = Path(__file__).parent / "gates"


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


def load_limits(name_or_path: str | Path) -> GateLimits:
    """The limits of that name, or those in a TOML file.

    Raises:
        BuildError: There are no such limits, or the file breaks a rule.
    """
    if str(name_or_path).endswith(".toml"):
        return spec_from_toml(Path(name_or_path), GateLimits, BuildError)
    names = sorted(file.stem for file in _FOLDER.glob("*.toml"))
    if str(name_or_path) not in names:
        fix = "take one of them, or copy its TOML from engines/gates and give the path of your copy"
        raise BuildError(f"there are no limits {name_or_path}", f"those that ship are {', '.join(names)}", fix)
    return spec_from_toml(_FOLDER / f"{name_or_path}.toml", GateLimits, BuildError)
