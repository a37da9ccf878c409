"""How a command is told the quality limits of a camera."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sall_edge.fundus.quality import QualityLimits

__all__ = ["LimitsFile", "limits_of"]

LimitsFile = Annotated[
    Path | None,
    typer.Option("--quality", metavar="TOML", help="Quality limits of the camera, as `quality fit` writes them."),
]


def limits_of(file: Path | None) -> "QualityLimits":
    """The limits in a TOML file; the defaults without one.

    Raises:
        LabelsError: It cannot be read, or breaks a rule.
    """
    from sall_edge.fundus.quality import DEFAULT_LIMITS, quality_limits_from_toml

    return DEFAULT_LIMITS if file is None else quality_limits_from_toml(file)
