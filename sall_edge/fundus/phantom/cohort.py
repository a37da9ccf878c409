"""Who is photographed: patients with two eyes, their grades, their split, and what of it is on the label.

Patients come in blocks of twenty with a fixed mix of diseases in a random order, so that small sets hold every grade
too. Everything about a photograph follows from the seed and its index alone: sets of different sizes share their
beginning, and it does not matter which process draws what.
"""

from dataclasses import dataclass

import numpy as np

from sall_edge.fundus.phantom.draw import Phantom, draw_phantom
from sall_edge.spec import Labelling

__all__ = ["PhantomRecord", "label_of_record", "phantom_at", "record_at"]

PATIENT_KINDS: tuple[tuple[int, int], ...] = (
    *[(0, 0)] * 6,
    *[(1, 0)] * 2,
    *[(2, 0)] * 2,
    *[(3, 0)] * 2,
    *[(4, 0)] * 1,
    *[(0, 1)] * 2,
    *[(0, 2)] * 2,
    *[(0, 3)] * 2,
    *[(2, 2)] * 1,
)
"""(DR, AMD) grades of the worse eyes in a block: half of the patients need a referral, one has both diseases."""

# fmt: off
SPLITS = (
    "train", "test", "train", "val", "train", "train", "test", "train", "train", "test",
    "train", "val", "train", "test", "train", "train", "val", "train", "test", "train",
)
# fmt: on
"""Of a block's patients in turn: 60 % train, 15 % val, 25 % test. Who comes when is random, so this need not be."""

SAME_IN_BOTH_EYES = 0.6
"""Chance that the fellow eye has the same grade; else it is one grade better."""

ORDER_STREAM, PATIENT_STREAM = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomRecord:
    """One photograph of a set, before it is drawn.

    Attributes:
        index: Position in the set.
        patient_id: Two photographs a patient.
        eye: "L" or "R".
        split: "train", "val" or "test"; the same for both eyes.
        dr_grade, amd_grade: What is drawn.
    """

    index: int
    patient_id: str
    eye: str
    split: str
    dr_grade: int
    amd_grade: int

    @property
    def file_name(self) -> str:
        """Name of its JPEG."""
        return f"{self.index:06d}_{self.eye}.jpg"


def record_at(seed: int, index: int) -> PhantomRecord:
    """Who and what the photograph `index` of the set `seed` shows, with both grades."""
    if seed < 0 or index < 0:
        raise ValueError(f"seed is {seed} and index {index}; both start at 0")
    patient, which_eye = divmod(index, 2)
    block, place = divmod(patient, len(PATIENT_KINDS))
    order = _stream(seed, ORDER_STREAM, block).permutation(len(PATIENT_KINDS))
    worse_dr, worse_amd = PATIENT_KINDS[order[place]]
    rng = _stream(seed, PATIENT_STREAM, patient, 0)
    eyes = ("R", "L") if rng.random() < 0.5 else ("L", "R")  # the first eye is the worse one
    steps = (rng.random(2) >= SAME_IN_BOTH_EYES).astype(int) * which_eye
    return PhantomRecord(
        index=index,
        patient_id=f"P{patient:05d}",
        eye=eyes[which_eye],
        split=SPLITS[place],
        dr_grade=max(worse_dr - int(steps[0]), 0),
        amd_grade=max(worse_amd - int(steps[1]), 0),
    )


def phantom_at(seed: int, index: int, *, side_px: int = 768) -> Phantom:
    """The phantom `index` of the set `seed`, with its lesion masks, exactly as `write_phantoms` draws it.

    The written JPEG differs from `pixels` by its compression only.
    """
    record = record_at(seed, index)
    patient, which_eye = divmod(index, 2)
    rng = _stream(seed, PATIENT_STREAM, patient, 1 + which_eye)
    return draw_phantom(rng, side_px=side_px, dr_grade=record.dr_grade, amd_grade=record.amd_grade, eye=record.eye)


def label_of_record(seed: int, record: PhantomRecord, labelling: Labelling) -> tuple[int | None, int | None]:
    """The DR and AMD grades on the record's label; None where the labelling leaves one out."""
    is_normal = record.dr_grade == 0 and record.amd_grade == 0
    if labelling is Labelling.COMPLETE or record.split != "train" or is_normal:
        return record.dr_grade, record.amd_grade
    # Which set a patient came to is a matter of chance: a set that was collected for one disease shows the other one
    # too, unlabelled. Were it not so, each teacher would take the disease that it never saw for its own.
    is_for_dr = bool(_stream(seed, PATIENT_STREAM, record.index // 2, 3).random() < 0.5)
    return (record.dr_grade, None) if is_for_dr else (None, record.amd_grade)


def _stream(seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
