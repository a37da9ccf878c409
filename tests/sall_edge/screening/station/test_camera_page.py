"""What docs/camera.md promises: its Python runs, and its table has every event with every field."""

import re
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np

from sall_edge.artifacts import Engine
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.screening.events import Event, Waiting
from sall_edge.screening.station.controls import Command
from sall_edge.screening.store.opening import create_store

PAGE = Path(__file__).parents[4] / "docs" / "camera.md"
MOST_LINES = 10


def test_the_python_of_the_page_examines_a_person(tiny_engine: Engine, tmp_path: Path) -> None:
    code, imports = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(code.splitlines()) <= MOST_LINES
    pixels = draw_phantom(np.random.default_rng(1), side_px=320, dr_grade=0, amd_grade=0, eye="R").pixels
    hot = tmp_path / "hot"
    hot.mkdir()
    happened: list[Any] = []
    names: dict[str, Any] = {
        "engine": tiny_engine.path,
        "folder": create_store(tmp_path / "store"),
        "key": None,
        "source": f"folder:{hot}",
    }

    def show(event: Any) -> None:
        happened.append(event.event)
        if event.event == "photograph_wanted" and not (hot / "1_OD.jpg").exists():
            cv2.imwrite(str(hot / "1_OD.jpg"), pixels[..., ::-1])
        if event.event == "photograph_judged":
            names["station"]._aimer._controls.wish(Command.LEAVE)

    names["show"] = show
    exec(imports + code, names)
    assert happened.count("photograph_judged") == 1


def test_every_event_and_field_is_in_the_table() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \| .* \|$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE))
    for event in set(get_args(Event)) - {Waiting}:
        fields = event.model_fields
        described = re.findall(r"`(\w+)(?:\[\])?`", rows[fields["event"].default])
        assert set(described) - {"R", "L", "macula", "disc"} == set(fields) - {"at", "event"}
