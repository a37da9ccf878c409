"""The circle of a rim that a threshold does not show well: haze around it, a bright surround, half of it in the dark.

Pairs of edges propose circles, as do the thresholds; the one wins along which the edges agree most, less what the
light beside it says against it (`_light.py`). It takes tens of milliseconds; the thresholds, which are right on nearly
all photographs of a clinic, take half of one.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sall_edge.fundus._agreement import XYRS, agreement, settled
from sall_edge.fundus._edges import Edges, edges_of
from sall_edge.fundus._light import brightness_of, light_beside
from sall_edge.fundus._rim import Circle, is_plausible

__all__ = ["surest_circle"]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

STRETCHES = (1.0, 0.94, 0.88, 0.82)
"""Tried on a square frame: data sets squeeze the landscape of a camera into it."""

ROUND = 1.5
"""Agreement of a circle that leaves nothing to an ellipse."""

PAIRS, CORNER_PAIRS = 6000, 3000
"""Pairs of edges that may propose a circle, of the frame and of its corners alone."""

MOST_PROPOSED, MOST_PROPOSED_OF_CORNERS = 400, 200

NORMALS_WITHIN, CORNER_NORMALS_WITHIN = 0.18, 0.1
"""How far from a common centre the normals of a pair may pass, over the radius."""

CORNER = 0.75
"""Sum of the offsets from the frame's middle, over its sides, beyond which a place counts as a corner's."""

SETTLED, CLIMBED, STEPS, STRIDES = 6, 3, 64, (0.06, 0.025)
"""Proposals that are settled; those of them that are improved by chance, by how many steps, of which length."""

REACHES, SHORT_REACH = (0.05, 0.025, 0.02), (0.03, 0.015)

KNOWN_BONUS, STRETCHED_MALUS = 0.06, 0.075
"""Agreement that a threshold's circle is ahead by, and one that is not round behind."""

WHOLE = 0.95
"""Share of the rim that a threshold saw of a circle that is excused for a ghost of the field beside it."""

MOST_LOOKED_AT, MOST_MALUS = 120, 1.0
"""Circles beside which light is looked at; the others, along which edges agree less, lose anyway."""

BRIGHT, OUTSIDE_MALUS, OUTSIDE_FREE = 0.6, 4.0, 0.01
"""Level that only retina reaches, over the contrast; what its share outside the circle costs; text is free."""


def surest_circle(picture: U8, known: Sequence[Circle]) -> Circle:
    """The circle along which the edges agree most, and that the light beside it does not contradict.

    Args:
        picture: (h, w, 3) uint8 RGB, the working picture.
        known: Circles that thresholds found.
    """
    search = _Search(picture)
    found: list[tuple[float, XYRS]] = []
    height, width = picture.shape[:2]
    points = search.edges.points()
    for stretch in STRETCHES if abs(height - width) <= 2 else STRETCHES[:1]:
        if found and max(found)[0] > ROUND:
            break
        found += search.best_settled(_proposed(points, width, height, stretch))
    found.sort(reverse=True)
    found += [search.climbed(*one) for one in found[:CLIMBED]]
    for one in known:
        circle = (one.x, one.y, one.radius, one.stretch)
        near = settled(search.edges, circle, SHORT_REACH)
        circle = near if _apart(near, circle) < 0.08 else circle
        found.append((search.score_of_known(circle, one.rim_seen), circle))
    if not found:
        return Circle(width / 2, height / 2, max(width, height) / 2, 0.0)
    score, best = max(found)
    near = settled(search.edges, best, SHORT_REACH)
    x, y, radius, stretch = near if _apart(near, best) < 0.06 else best
    return Circle(x, y, radius, score / 2, stretch)


def _apart(one: XYRS, other: XYRS) -> float:
    """By how much two circles differ, over the radius."""
    return (abs(one[2] - other[2]) + float(np.hypot(one[0] - other[0], one[1] - other[1]))) / other[2]


class _Search:
    """Scores circles of one picture."""

    def __init__(self, picture: U8) -> None:
        self.edges: Edges = edges_of(picture)
        self.height, self.width = picture.shape[:2]
        self.chance = np.random.default_rng(0)  # results repeat
        brightness = brightness_of(picture)
        small = brightness[::8, ::8]
        darkest, brightest = np.quantile(small, (0.02, 0.9))
        self.light = light_beside(brightness, self.edges, float(darkest), float(brightest - darkest))
        y, x = np.nonzero(small > darkest + BRIGHT * (brightest - darkest))
        self.bright = (x * np.float32(8), y * np.float32(8))

    def score(self, circles: F64) -> F64:
        """(T,) agreement along circles (T, 4), less what speaks against them."""
        x, y, radius, stretch = (column[:, None].astype(np.float32) for column in circles.T)
        beyond = ((self.bright[0] - x) / stretch) ** 2 + ((self.bright[1] - y) * stretch) ** 2 > (1.03 * radius) ** 2
        malus = OUTSIDE_MALUS * np.maximum(beyond.mean(axis=1) - OUTSIDE_FREE, 0) + STRETCHED_MALUS * (
            circles[:, 3] != 1
        )
        score = agreement(self.edges, circles) - malus
        best = np.argsort(-score)
        score[best[:MOST_LOOKED_AT]] -= self.light.malus(circles[best[:MOST_LOOKED_AT]])
        score[best[MOST_LOOKED_AT:]] -= MOST_MALUS
        return np.asarray(score)

    def score_of_known(self, circle: XYRS, rim_seen: float) -> float:
        """Score of a threshold's circle: one level of light runs along it, so a ghost beyond it says nothing."""
        circles = np.array([circle])
        excused = float(self.light.uneven(circles)[0]) if rim_seen >= WHOLE else 0.0
        return float(self.score(circles)[0]) + excused + KNOWN_BONUS

    def best_settled(self, circles: F64) -> list[tuple[float, XYRS]]:
        """The best that differ, settled on their edges."""
        if not len(circles):
            return []
        picked: list[XYRS] = []
        for index in np.argsort(-self.score(circles)):
            circle: XYRS = tuple(circles[index].tolist())
            if all(_apart(circle, other) > 0.06 for other in picked):
                picked.append(circle)
            if len(picked) == SETTLED:
                break
        return self.scored([settled(self.edges, circle, REACHES) for circle in picked])

    def scored(self, circles: list[XYRS]) -> list[tuple[float, XYRS]]:
        """Those that could be a retina's, each with its score."""
        circles = [circle for circle in circles if is_plausible(*circle[:3], self.width, self.height)]
        return list(zip(self.score(np.array(circles)).tolist(), circles, strict=True)) if circles else []

    def climbed(self, score: float, circle: XYRS) -> tuple[float, XYRS]:
        """A circle near by that scores higher, if one is met by chance."""
        for stride in STRIDES:
            circles = np.tile(circle, (STEPS, 1))
            circles[:, :3] += self.chance.normal(size=(STEPS, 3)) * (stride * circle[2])
            circles = circles[is_plausible(circles[:, 0], circles[:, 1], circles[:, 2], self.width, self.height)]
            if not len(circles):
                continue
            scores = self.score(circles)
            best = int(scores.argmax())
            if scores[best] > score:
                score, circle = float(scores[best]), tuple(circles[best].tolist())
                score, circle = max([(score, circle), *self.scored([settled(self.edges, circle, SHORT_REACH)])])
        return score, circle


@lru_cache(maxsize=2)
def _pairs(count: int) -> F64:
    """(2, count) places in a list, in 0..1; the same for every photograph, so that results repeat."""
    return np.random.default_rng(count).random((2, count))


def _proposed(points: F32, width: int, height: int, stretch: float) -> F64:
    """(T, 4) circles through pairs of edge points whose normals meet in their centre."""
    in_corner = np.abs(points[:, 0] / width - 0.5) + np.abs(points[:, 1] / height - 0.5) > CORNER
    return np.concatenate(
        [
            _through_pairs(points, width, height, stretch, PAIRS, NORMALS_WITHIN)[:MOST_PROPOSED],
            _through_pairs(points[in_corner], width, height, stretch, CORNER_PAIRS, CORNER_NORMALS_WITHIN)[
                :MOST_PROPOSED_OF_CORNERS
            ],
        ]
    )


def _through_pairs(points: F32, width: int, height: int, stretch: float, count: int, within: float) -> F64:
    if len(points) < 10:
        return np.empty((0, 4))
    places = points * np.array([1 / stretch, stretch, stretch, 1 / stretch], np.float32)
    places[:, 2:] /= np.hypot(places[:, 2], places[:, 3])[:, None]
    one, other = places[(_pairs(count) * len(points)).astype(np.intp)]
    apart, turn = other[:, :2] - one[:, :2], other[:, 2:] - one[:, 2:]
    turned = (turn * turn).sum(axis=1)
    radius = (apart * turn).sum(axis=1) / np.maximum(turned, 1e-6)  # negative if the normals point inwards
    off = np.hypot(*(apart - radius[:, None] * turn).T)
    center = (one[:, :2] + other[:, :2] - radius[:, None] * (one[:, 2:] + other[:, 2:])) / 2
    x, y = center[:, 0] * stretch, center[:, 1] / stretch
    fits = (off < within * np.abs(radius)) & (turned > 0.1)
    fits &= is_plausible(x, y, np.abs(radius), width, height)
    radius = (np.hypot(*(one[:, :2] - center).T) + np.hypot(*(other[:, :2] - center).T)) / 2
    circles = np.stack([x, y, radius, np.full_like(x, stretch)], axis=1)[fits]
    return np.asarray(circles, dtype=np.float64)
