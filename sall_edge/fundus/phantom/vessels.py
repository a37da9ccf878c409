"""The vessel tree of a phantom: four arcades of a vein and an artery, grown into branches that spare the fovea.

Bifurcations follow Murray's law (the cubes of the children's diameters add up to their parent's cube); venous calibre
near the disc is `CALIBRE_DD`. Positions and calibres are in disc diameters.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from sall_edge.fundus.phantom.geometry import F32, FOVEA_DD

__all__ = ["Kind", "Vessel", "grow_vessels", "new_vessels"]

STEP_DD = 0.08
AVASCULAR_DD = 0.33
"""Radius around the fovea that no vessel enters (drawn a little larger than life, as capillaries do not show)."""


class Kind(Enum):
    """Which blood a vessel carries."""

    ARTERY = "artery"
    VEIN = "vein"


CALIBRE_DD = {Kind.VEIN: 0.085, Kind.ARTERY: 0.06}
"""At the disc's rim: about 155 and 110 micrometres with the wall's blur, for a disc of 1.85 mm."""

ARCADES: dict[str, tuple[tuple[float, float], ...]] = {
    "superior temporal": ((0, 0.05), (0.06, 0.75), (0.65, 1.7), (1.75, 2.3), (3.1, 2.45), (4.6, 2.2), (6.4, 1.7)),
    "inferior temporal": ((0, -0.05), (0.06, -0.85), (0.6, -1.9), (1.7, -2.6), (3.0, -2.85), (4.6, -2.6), (6.4, -2.1)),
    "superior nasal": ((0, 0.05), (-0.25, 0.6), (-0.9, 1.4), (-1.7, 2.4), (-2.5, 3.6)),
    "inferior nasal": ((0, -0.05), (-0.25, -0.65), (-0.95, -1.4), (-1.8, -2.3), (-2.7, -3.5)),
    "superior macular": ((0.02, 0.05), (0.4, 0.38), (1.0, 0.75), (1.8, 0.75), (2.3, 0.5)),
    "inferior macular": ((0.02, -0.05), (0.4, -0.4), (1.0, -0.85), (1.7, -1.1), (2.3, -0.95)),
    "nasal": ((0, 0), (-0.5, 0.08), (-1.2, 0.15), (-2.2, 0.1)),
}
SMALL_ARCADES = {"superior macular": 0.42, "inferior macular": 0.42, "nasal": 0.4}
"""Calibre of the minor ones over that of the four great arcades."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vessel:
    """One unbranched stretch.

    Attributes:
        kind: Artery or vein.
        arcade: Name of the arcade that it belongs to.
        line: (n, 2) float32 centreline in disc diameters.
        calibre: (n,) float32 diameter in disc diameters.
    """

    kind: Kind
    arcade: str
    line: F32
    calibre: F32


def grow_vessels(rng: np.random.Generator) -> list[Vessel]:
    """The whole tree, finest vessels first (the order to paint them in)."""
    tortuosity = rng.uniform(0.6, 1.5)
    common_spread = rng.uniform(0.85, 1.12)
    trunks = []
    for kind in Kind:
        spread = common_spread * rng.uniform(0.95, 1.05)
        side = 0.06 if kind is Kind.VEIN else -0.06  # the pair runs side by side and crosses now and then
        for arcade, control in ARCADES.items():
            path = np.array(control, dtype=np.float32) * spread
            trunks.append(_trunk(rng, kind, arcade, path, side, tortuosity))
    branches = _branches(rng, trunks, most=9, tortuosity=tortuosity)
    twigs = _branches(rng, [branch for branch in branches if len(branch.line) > 8], most=3, tortuosity=tortuosity)
    return sorted([*trunks, *branches, *twigs], key=lambda vessel: float(vessel.calibre[0]))


def _trunk(rng: np.random.Generator, kind: Kind, arcade: str, control: F32, side: float, tortuosity: float) -> Vessel:
    jitter = rng.normal(0, 0.2, control.shape) * np.linspace(0.15, 1, len(control))[:, None]
    line = _spline(control + jitter + np.array([side, 0]) * np.linspace(0.4, 2, len(control))[:, None], 18)
    reach = np.linspace(0, 1, len(line))
    along = np.gradient(line, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    waves = sum(
        rng.normal(0, 0.02 * wavelength) * np.sin(2 * np.pi * length / wavelength + rng.uniform(0, 6.3))
        for wavelength in (0.55, 0.9, 1.6)
    )
    line = line + across * (tortuosity * waves * np.minimum(1, 3 * reach))[:, None]
    calibre = CALIBRE_DD[kind] * SMALL_ARCADES.get(arcade, 1.0) * rng.uniform(0.85, 1.15) * (1 - 0.62 * reach)
    end = int(_points_before_fovea(line[None])[0])
    return Vessel(
        kind=kind, arcade=arcade, line=line[:end].astype(np.float32), calibre=calibre[:end].astype(np.float32)
    )


def _points_before_fovea(lines: npt.NDArray[np.floating]) -> npt.NDArray[np.int_]:
    """(n,) how many points of each line (n, points, 2) come before it enters the avascular zone."""
    enters = np.linalg.norm(lines - FOVEA_DD, axis=2) < AVASCULAR_DD
    before: npt.NDArray[np.int_] = np.where(enters.any(axis=1), enters.argmax(axis=1), lines.shape[1])
    return before


def _spline(control: npt.NDArray[np.floating], steps: int) -> F32:
    """(m, 2): the Catmull-Rom curve through the control points (n, 2)."""
    padded = np.concatenate([2 * control[:1] - control[1:2], control, 2 * control[-1:] - control[-2:-1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    before, start, end, after = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    curve = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    points: F32 = np.concatenate([curve.transpose(1, 0, 2).reshape(-1, 2), control[-1:]]).astype(np.float32)
    return points


def _branches(rng: np.random.Generator, parents: list[Vessel], *, most: int, tortuosity: float) -> list[Vessel]:
    """Side branches, half of `most` to `most` a parent, at random places and to both sides in turn."""
    starts, headings, calibres, origins = [], [], [], []
    for parent in parents:
        count = int(rng.integers(most // 2, most + 1))
        at = np.sort(rng.integers(len(parent.line) // 5, len(parent.line) - 1, count))
        along = parent.line[at + 1] - parent.line[at - 1]
        turn = rng.uniform(0.5, 1.2, count) * np.where(np.arange(count) % 2 == 0, 1, -1)
        starts.append(parent.line[at])
        headings.append(np.arctan2(along[:, 1], along[:, 0]) + turn)
        calibres.append(parent.calibre[at] * rng.uniform(0.4, 0.75, count))
        origins += [parent] * count
    calibre = np.concatenate(calibres)
    reach = (np.minimum(calibre * rng.uniform(28, 60, len(calibre)), 3.5) / STEP_DD).astype(int) + 3
    steps = int(reach.max())
    lines = _walk(rng, np.concatenate(starts), np.concatenate(headings), steps=steps, tortuosity=tortuosity)
    reach = np.minimum(reach, _points_before_fovea(lines))
    taper = (calibre[:, None] * (1 - 0.55 * np.minimum(np.arange(steps) / reach[:, None], 1))).astype(np.float32)
    return [
        Vessel(kind=parent.kind, arcade=parent.arcade, line=lines[i, : reach[i]], calibre=taper[i, : reach[i]])
        for i, parent in enumerate(origins)
        if reach[i] >= 3
    ]


def _walk(rng: np.random.Generator, start: F32, heading: F32, *, steps: int, tortuosity: float) -> F32:
    """(n, steps, 2) float32: n lines that wander, to the fovea if it lies ahead, else away from the disc."""
    n = len(start)
    place = start.astype(np.float64)
    bend = np.zeros(n)
    lines = np.empty((n, steps, 2), dtype=np.float32)
    shocks = rng.normal(0, 0.8 * tortuosity, (steps, n))
    for step in range(steps):
        lines[:, step] = place
        to_fovea = FOVEA_DD - place
        wanted = np.arctan2(to_fovea[:, 1], to_fovea[:, 0])
        off = (wanted - heading + np.pi) % (2 * np.pi) - np.pi
        away = np.arctan2(place[:, 1], place[:, 0])
        off_away = (away - heading + np.pi) % (2 * np.pi) - np.pi
        pull = np.where((np.abs(off) < 1.3) & (np.hypot(*to_fovea.T) < 2.6), 0.45 * off, 0.35 * off_away)
        bend = 0.72 * bend + shocks[step]
        heading = heading + STEP_DD * (pull + bend)
        place = place + STEP_DD * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    return lines


def new_vessels(rng: np.random.Generator, centre: F32, *, radius_dd: float, count: int) -> list[F32]:
    """Lines [(n, 2), ...] of a frond of new vessels: fine, looping, unlike any normal branching."""
    steps = max(4, int(radius_dd / 0.03))
    start = centre + rng.normal(0, radius_dd * 0.15, (count, 2)).astype(np.float32)
    heading = rng.uniform(0, 2 * np.pi, count)
    bend = rng.normal(0, 3.0, count)
    lines = np.empty((count, steps, 2), dtype=np.float32)
    for step in range(steps):
        lines[:, step] = start
        bend = 0.85 * bend + rng.normal(0, 3.0, count)
        heading = heading + 0.03 * bend
        start = start + (0.03 * np.stack([np.cos(heading), np.sin(heading)], axis=1)).astype(np.float32)
    return list(lines)
