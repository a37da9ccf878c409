"""The examination at the end of `sall-edge demo`: a recorded aiming as the camera, a retake, a store, a report."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import typer

if TYPE_CHECKING:
    from sall_edge.artifacts import Engine

__all__ = ["demo_examination"]

PROGRAMME = "icdr-one-photograph"
WIDTH_PX, HEIGHT_PX = 1280, 720
NEVER_SHARP, UNTIL_TAKEN_S = 0.06, 7.0
"""Of the first photograph, so that it has to be taken again: blur, and how long it is held until it is taken anyway."""


def demo_examination(engine: "Engine", folder: Path, seed: int) -> Path | None:
    """Examines a person of phantoms and gives the report; None where the extra `screening` is not installed."""
    if find_spec("sqlalchemy") is None or find_spec("typst") is None:
        typer.echo("note: no examination: pip install 'sall-edge[screening]'", err=True)
        return None
    from sall_edge.cli.camera_view import view_of
    from sall_edge.runtime.session import open_session
    from sall_edge.screening.camera.open import open_camera
    from sall_edge.screening.events import ReportWritten
    from sall_edge.screening.examination.programme import load_programme
    from sall_edge.screening.examination.record import Person
    from sall_edge.screening.messages import load_language
    from sall_edge.screening.report.kinds import DocumentKind
    from sall_edge.screening.station.controls import Controls
    from sall_edge.screening.station.documents import Documents
    from sall_edge.screening.station.station import Station
    from sall_edge.screening.store.opening import create_store, open_store

    programme, catalogue, frames = load_programme(PROGRAMME), load_language("en"), _aiming(folder / "aiming", seed)
    documents = Documents(folder / "documents", [DocumentKind.PDF], catalogue=catalogue, programme=programme)
    store = folder / "store"
    if not store.exists():
        create_store(store)
    with open_session(engine) as session, open_store(store) as kept, open_camera(f"frames:{frames}") as camera:
        station = Station(
            camera=camera,
            session=session,
            store=kept,
            programme=programme,
            controls=Controls(),
            operator="demo",
            documents=documents,
        )
        with view_of(catalogue, session.manifest.tasks, keys="") as view:
            for event in station.examine(Person(reference=f"phantom {seed}")):
                view.show(event)
                if isinstance(event, ReportWritten):
                    return Path(event.files[0])
    return None


def _aiming(folder: Path, seed: int) -> Path:
    from sall_edge.fundus.phantom import draw_phantom
    from sall_edge.fundus.phantom.aiming import Still, write_aiming

    rng = np.random.default_rng(seed)
    right = draw_phantom(rng, side_px=768, dr_grade=0, amd_grade=0, eye="R").pixels
    left = draw_phantom(rng, side_px=768, dr_grade=3, amd_grade=0, eye="L").pixels
    stills = [
        Still(pixels=right, blur=NEVER_SHARP, held_s=UNTIL_TAKEN_S),
        Still(pixels=right, held_s=2.0),
        Still(pixels=left, held_s=2.5),
    ]
    write_aiming(stills, folder, seed=seed, width_px=WIDTH_PX, height_px=HEIGHT_PX)
    return folder
