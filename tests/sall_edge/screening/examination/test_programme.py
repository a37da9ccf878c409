"""Programmes: those that ship, a user's own, and the rules that a file has to keep."""

from pathlib import Path
from typing import Any

import pytest
import tomli
from fakes.made_up_examination import AMD, DR, ICDR
from pydantic import ValidationError

from sall_edge.errors import ExaminationError
from sall_edge.screening.examination.programme import (
    FOLDER,
    Programme,
    load_programme,
    programme_grade,
    programme_names,
)
from sall_edge.screening.examination.record import View
from sall_edge.spec import Eye, disease_tasks, tasks_from_toml

DOCS = Path(__file__).parents[4] / "docs" / "programmes.md"
TASK_FILES = Path(__file__).parents[4] / "trainer" / "tasks"

ODIR_AMD = AMD.model_copy(update={"grades": ("none", "drusen", "dry", "wet")})


def _programme(**changes: Any) -> Programme:
    return Programme.model_validate({**ICDR.model_dump(), **changes})


def _dr(**changes: Any) -> dict[str, Any]:
    return {"tasks": [{**ICDR.tasks[0].model_dump(), **changes}], "conflicts": []}


def test_three_programmes_ship() -> None:
    assert programme_names() == ("icdr", "icdr-one-photograph", "nhs")
    for name in programme_names():
        programme = load_programme(name)
        assert programme.name == name
        assert programme.sources
        assert "maculopathy" in [named.value for named in programme.not_assessed]


def test_four_photographs_are_wanted_unless_a_programme_says_otherwise() -> None:
    spare = {name: value for name, value in ICDR.model_dump().items() if name != "photographs"}
    default = [(one.eye, one.view) for one in Programme.model_validate(spare).photographs]
    assert default == [(eye, view) for eye in (Eye.RIGHT, Eye.LEFT) for view in (View.MACULA, View.DISC)]
    assert [(one.eye, one.view) for one in load_programme("icdr-one-photograph").photographs] == [
        (Eye.RIGHT, View.MACULA),
        (Eye.LEFT, View.MACULA),
    ]


@pytest.mark.parametrize("name", programme_names())
@pytest.mark.parametrize("file", ["retina.toml", "odir.toml", "odir-quality.toml"])
def test_shipped_programmes_understand_every_task_file_that_ships(name: str, file: str) -> None:
    programme = load_programme(name)
    for task in disease_tasks(tasks_from_toml(TASK_FILES / file).tasks):
        assert programme_grade(programme, task, task.referable_from).title


def test_nhs_says_its_own_codes_and_is_urgent_from_r3_only() -> None:
    nhs = load_programme("nhs")
    assert [programme_grade(nhs, DR, grade).code for grade in range(5)] == ["R0", "R1", "R1/R2", "R2", "R3"]
    assert nhs.tasks[0].urgent_from == 4
    assert ICDR.tasks[0].urgent_from == 3


def test_one_disease_on_two_scales_is_told_apart_by_the_engines_grades() -> None:
    assert programme_grade(ICDR, AMD, 3).title.startswith("Late AMD")
    assert programme_grade(ICDR, ODIR_AMD, 3).title.startswith("Wet AMD")


def test_a_scale_that_the_programme_does_not_know_is_refused_with_both_scales() -> None:
    other = AMD.model_copy(update={"grades": ("none", "some", "much")})
    with pytest.raises(ExaminationError, match="does not know how the engine grades amd") as refused:
        programme_grade(ICDR, other, 1)
    assert "none, some, much" in refused.value.why
    assert "none, early, intermediate, late; none, drusen, dry, wet" in refused.value.why


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(ExaminationError, match="there is no programme scotland") as refused:
        load_programme("scotland")
    assert refused.value.why == "these ship: icdr, icdr-one-photograph, nhs"
    assert "docs/programmes.md" in refused.value.fix


def test_a_users_own_programme_is_read_by_its_path(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text((FOLDER / "icdr.toml").read_text().replace('name = "icdr"', 'name = "own"'))
    assert load_programme(own).name == "own"
    assert load_programme(str(own)).sha256 != ICDR.sha256


def test_a_file_that_is_no_toml_is_told_where_an_example_is(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("name = ")
    with pytest.raises(ExaminationError, match="is not TOML") as refused:
        load_programme(tmp_path / "own.toml")
    assert refused.value.fix == "see docs/programmes.md for a complete example"


def test_the_documents_example_is_a_programme(tmp_path: Path) -> None:
    blocks = [block.partition("```")[0] for block in DOCS.read_text().split("```toml\n")[1:]]
    (tmp_path / "example.toml").write_text(blocks[0])
    programme = load_programme(tmp_path / "example.toml")
    written = tomli.loads(blocks[0])
    assert set(Programme.model_fields) == set(written)  # complete: every field stands there
    assert set(type(programme.tasks[0]).model_fields) == set(written["tasks"][0])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "I C"}, "name"),
        ({"photographs": []}, "photographs"),
        ({"photographs": [{"eye": "R", "view": "macula"}] * 2}, "photographs repeat: R macula, R macula"),
        ({"photographs": [{"eye": "R", "view": "macula"}]}, "dr needs the view disc, which is no photograph of R"),
        ({"good_photographs": 4}, "4 good_photographs need at least as many max_attempts"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"tasks": [ICDR.tasks[0]] * 2, "conflicts": []}, "task dr has the grades none, mild, .* twice"),
        ({"conflicts": [{"tasks": ["amd", "dr"]}]}, "between two of dr, amd, in this order, not amd and dr"),
        ({"conflicts": [{"tasks": ["dr", "dr"]}]}, "not dr and dr"),
        ({"conflicts": [{"tasks": ["dr", "glaucoma"]}]}, "not dr and glaucoma"),
        ({"not_assessed": ["cataract"]}, "not_assessed"),
        (_dr(referable_from=5), "referable_from is 5, but the grades end at 4"),
        (_dr(urgent_from=1), "urgent_from is 1; it lies between referable_from and 4"),
        (_dr(urgent_from=5), "urgent_from is 5"),
        (_dr(human_from=0), "human_from"),
        (_dr(grades=[{"grade": "none", "title": "None"}] * 5), "grades repeat: none"),
        ({"retakes": 2}, "retakes"),
    ],
)
def test_a_programme_that_breaks_a_rule_is_told_which(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        _programme(**changes)
