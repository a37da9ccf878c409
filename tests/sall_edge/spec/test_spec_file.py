"""Descriptions from TOML files: every way that a file is wrong is told with a way out."""

from pathlib import Path

import pytest

from sall_edge.errors import BuildError
from sall_edge.spec import ShippedSpecs, TargetSpec, spec_from_toml

EXAMPLE = "docs/targets.md"


def test_a_missing_file_raises_the_error_of_its_kind(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="cannot read"):
        spec_from_toml(tmp_path / "target.toml", TargetSpec, BuildError, example=EXAMPLE)


def test_a_file_that_is_no_toml_is_told_where_an_example_of_its_kind_is(tmp_path: Path) -> None:
    path = tmp_path / "target.toml"
    path.write_text("name = ")
    with pytest.raises(BuildError, match="is not TOML") as problem:
        spec_from_toml(path, TargetSpec, BuildError, example=EXAMPLE)
    assert problem.value.fix == "see docs/targets.md for a complete example"


@pytest.fixture
def shipped(tmp_path: Path) -> ShippedSpecs[TargetSpec]:
    folder = tmp_path / "shipped"
    folder.mkdir()
    for name in ("moon", "mars"):
        (folder / f"{name}.toml").write_text(f'name = "{name}"\ntitle = "T"\nbackend = "openvino"\n')
    return ShippedSpecs(kind="target", folder=folder, model=TargetSpec, error=BuildError, example=EXAMPLE)


def test_what_ships_is_loaded_by_the_name_of_its_file(shipped: ShippedSpecs[TargetSpec]) -> None:
    assert shipped.names() == ("mars", "moon")
    assert shipped.load("moon").name == "moon"


def test_a_name_that_does_not_ship_is_answered_with_those_that_do(shipped: ShippedSpecs[TargetSpec]) -> None:
    with pytest.raises(BuildError) as problem:
        shipped.load("../shipped/moon")
    assert problem.value.what == "there is no target ../shipped/moon"
    assert problem.value.why == "these ship: mars, moon"
    assert problem.value.fix == (
        "take one of them, or write your own (docs/targets.md) and give its path, which ends in .toml"
    )


def test_what_ends_in_toml_is_a_path(shipped: ShippedSpecs[TargetSpec], tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('name = "own"\ntitle = "T"\nbackend = "openvino"\n')
    assert shipped.load(own) == shipped.load(str(own))
    with pytest.raises(BuildError, match="cannot read"):
        shipped.load("moon.toml")
