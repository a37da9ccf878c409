"""What a photograph has to measure to be graded: data, so that every camera can have its own.

The defaults stop only what no grader could use on photographs of many cameras: they were set by hand, far out in the
tails of public sets (docs/quality.md says which). `sall-edge quality fit` makes those of one camera.
"""

import json
from functools import lru_cache
from pathlib import Path

from pydantic import model_validator

from sall_edge.errors import LabelsError
from sall_edge.spec import Spec, spec_from_toml

__all__ = [
    "Limit",
    "QualityLimits",
    "limits_of_cameras",
    "quality_limits_from_toml",
    "sha256_of_limits",
    "toml_of_limits",
]


class Limit(Spec):
    """The least or the most that one measure may be.

    Attributes:
        at: The limit itself; beyond it the photograph is refused.
        usual: A value that good photographs have. Above `at`, the limit is the least value, below it the most.
    """

    at: float
    usual: float

    @model_validator(mode="after")
    def _has_a_good_side(self) -> "Limit":
        if self.at == self.usual:
            raise ValueError(
                f"at and usual are both {self.at}; the usual value says on which side good photographs are"
            )
        return self

    def margin(self, value: float) -> float:
        """How far from the limit: 0 there, 1 at the usual value, negative beyond the limit."""
        return (value - self.at) / (self.usual - self.at)


class QualityLimits(Spec):
    """The limits of every measure of `assess`.

    Attributes:
        camera: Whose they are, as the camera is named in records; "any" for the defaults.
        brightness: Mean luma below which lesions drown in noise.
        burnt: Share without structure in green, which carries the vessels.
        glare: Mean luma that, with the share of white of `white_of_glare`, is too bright.
        white_of_glare: That share.
        white: Share of white that is too bright by itself.
        sharpness: Contrast of fine structure over coarse.
        detail: Contrast of structures of the width of vessels.
        vessels: Strength of the darkest lines.
        saturation, blue_red, red_green: Colour of a retina.
        clutter: Detail and spread of colour: lashes, sclera and instruments have both.
        clutter_unframed: The same where there is no black around the picture.
        surround: Black share above which a picture counts as framed.
        seen: Share of the field that shows anything.
        aside: How far the middle of what shows lies from the field's, in radii: a camera cuts evenly, a lid does not.
        shadow, flare, veil: Share of the rim that is much darker, much brighter and paler, or much paler than the
            middle.
        lashes: Share of the rim under dark lines on one side.
    """

    camera: str = "any"
    brightness: Limit = Limit(at=28, usual=60)
    burnt: Limit = Limit(at=0.4, usual=0.2)
    glare: Limit = Limit(at=190, usual=120)
    white_of_glare: Limit = Limit(at=0.2, usual=0.1)
    white: Limit = Limit(at=0.5, usual=0.25)
    sharpness: Limit = Limit(at=0.185, usual=0.5)
    detail: Limit = Limit(at=0.0025, usual=0.02)
    vessels: Limit = Limit(at=0.0045, usual=0.03)
    saturation: Limit = Limit(at=0.08, usual=0.5)
    blue_red: Limit = Limit(at=1.0, usual=0.6)
    red_green: Limit = Limit(at=0.55, usual=1.1)
    clutter: Limit = Limit(at=0.105, usual=0.06)
    clutter_unframed: Limit = Limit(at=0.075, usual=0.045)
    surround: float = 0.005
    seen: Limit = Limit(at=0.5, usual=0.7)
    aside: Limit = Limit(at=0.1, usual=0.05)
    shadow: Limit = Limit(at=0.22, usual=0.1)
    flare: Limit = Limit(at=0.4, usual=0.2)
    veil: Limit = Limit(at=0.8, usual=0.4)
    lashes: Limit = Limit(at=0.05, usual=0.025)

    def __hash__(self) -> int:
        return hash(self.camera)  # what looks limits up for every photograph need not hash forty numbers


def quality_limits_from_toml(path: Path) -> QualityLimits:
    """The limits of a camera; what the file does not name has its default.

    Raises:
        LabelsError: The file is missing, is no TOML, or breaks a rule.
    """
    return spec_from_toml(path, QualityLimits, LabelsError, example="docs/quality.md")


def limits_of_cameras(folder: Path) -> dict[str, QualityLimits]:
    """The limits in a folder's TOML files, by the name of their camera.

    Raises:
        LabelsError: A file is wrong, or two are of one camera.
    """
    found: dict[str, QualityLimits] = {}
    for path in sorted(folder.glob("*.toml")):
        limits = quality_limits_from_toml(path)
        if limits.camera in found:
            raise LabelsError(
                f"{folder} has two limits of the camera {limits.camera!r}",
                f"{path.name} is the second one",
                "give each file the name of its own camera",
            )
        found[limits.camera] = limits
    return found


def toml_of_limits(limits: QualityLimits) -> str:
    """A file that `quality_limits_from_toml` reads as these limits."""
    content = limits.model_dump(mode="json")
    lines = [f"camera = {_quoted(limits.camera)}", f"surround = {limits.surround!r}"]
    for name, limit in content.items():
        if isinstance(limit, dict):
            lines += ["", f"[{name}]", *(f"{key} = {float(value)!r}" for key, value in limit.items())]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A string of TOML: that of JSON, but for one control character; JSON's escaped surrogates are none of TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@lru_cache(maxsize=64)
def sha256_of_limits(limits: QualityLimits) -> str:
    """`limits.sha256`, computed once: it is recorded with every photograph."""
    return limits.sha256
