"""An engine that carries a reference whose limit is far from every photograph, on either side.

It shows what follows from a distance. It cannot show that a distance means anything.
"""

import shutil
from pathlib import Path

import numpy as np

from sall_edge.artifacts import Engine, open_engine, seal
from sall_edge.runtime.familiar_retinas import FAMILIARITY_NAME, FamiliarityFile, FittedOn, text_from_floats
from sall_edge.runtime.session import open_session

ALL_FAMILIAR, NONE_FAMILIAR = 1e9, 1e-9
"""Limits."""
_FITTED_ON = FittedOn(photographs=100, left_out=1, images_sha256="0" * 64)


def reference(channels: int, *, limit: float, **changes: object) -> FamiliarityFile:
    """A cloud around zero."""
    file = FamiliarityFile(
        channels=channels,
        components=1,
        limit=limit,
        aim=0.01,
        noise_deviation=0.5,
        mean=text_from_floats(np.zeros(channels)),
        directions=text_from_floats(np.eye(1, channels)),
        deviations=text_from_floats(np.array([2.0])),
        training=_FITTED_ON,
        validation=_FITTED_ON,
    )
    return file.model_copy(update=changes)


def with_reference(engine: Engine, place: Path, *, limit: float, **changes: object) -> Engine:
    """A sealed copy that carries one."""
    side = engine.manifest.image.side_px
    with open_session(engine) as session:
        features = session.run(np.zeros((side, side, 3), np.uint8)).features
    assert features is not None
    shutil.copytree(engine.path, place)
    for name in ("manifest.json", "signature"):
        (place / name).unlink()
    text = reference(len(features), limit=limit, **changes).model_dump_json()
    (place / FAMILIARITY_NAME).write_text(text, encoding="utf-8")
    seal(place, engine.manifest)
    return open_engine(place)
