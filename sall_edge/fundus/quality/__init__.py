"""Whether a photograph may be graded, why not, and by how much.

square -> measures (light, focus, vessels, rim, field) -> limits of the camera -> Quality
"""

from sall_edge.fundus.quality.assess import DEFAULT_LIMITS, REASONS, Quality, assess, judged
from sall_edge.fundus.quality.limits import QualityLimits, limits_of_cameras, quality_limits_from_toml, sha256_of_limits

__all__ = [
    "DEFAULT_LIMITS",
    "REASONS",
    "Quality",
    "QualityLimits",
    "assess",
    "judged",
    "limits_of_cameras",
    "quality_limits_from_toml",
    "sha256_of_limits",
]
