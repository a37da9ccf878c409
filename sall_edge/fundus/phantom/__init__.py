"""Synthetic fundus photographs with known grades and lesions.

    anatomy (geometry, vessels, background) -> lesions (diabetic, macular: marks of materials) -> camera -> Phantom

They exist to test and to demonstrate the chain without a patient's photograph. They are no substitute for one: a
network trained on phantoms knows phantoms.
"""

from sall_edge.fundus.phantom.cohort import PhantomRecord, phantom_at, record_at
from sall_edge.fundus.phantom.draw import Phantom, draw_phantom
from sall_edge.fundus.phantom.geometry import Layout
from sall_edge.fundus.phantom.outer_eye import draw_outer_eye
from sall_edge.fundus.phantom.write import write_phantoms

__all__ = [
    "Layout",
    "Phantom",
    "PhantomRecord",
    "draw_outer_eye",
    "draw_phantom",
    "phantom_at",
    "record_at",
    "write_phantoms",
]
