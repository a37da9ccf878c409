from pathlib import Path

import pytest

from engines.targets import FOLDER, load_target, target_names
from sall_edge.errors import BuildError
from sall_edge.spec import Backend, Precision

PROMISED = {"openvino-cpu", "onnxruntime-cpu", "orin-nano", "orin-nx", "agx-orin", "thor", "xavier-nx", "rtx"}


def test_every_promised_target_ships() -> None:
    assert set(target_names()) == PROMISED


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_a_target_file_is_valid_bears_its_own_name_and_explains_itself(name: str) -> None:
    target = load_target(name)
    assert target.name == name
    assert Precision.INT8 in target.precisions
    assert target.notes.strip()
    assert (FOLDER / f"{name}.toml").read_text().startswith("# ")


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_only_cuda_targets_name_a_compute_capability(name: str) -> None:
    target = load_target(name)
    assert bool(target.compute_capabilities) == (target.backend in (Backend.TENSORRT, Backend.TENSORRT_RTX))


def test_an_unknown_name_is_answered_with_the_names_that_exist() -> None:
    with pytest.raises(BuildError) as error:
        load_target("orin")
    assert error.value.what == "there is no target orin"
    for name in PROMISED:
        assert name in error.value.why
    fix = "take one of them, or write your own (engines/targets) and give its path, which ends in .toml"
    assert error.value.fix == fix


def test_a_users_copy_is_loaded_from_its_path(tmp_path: Path) -> None:
    copy = tmp_path / "mine.toml"
    copy.write_text((FOLDER / "orin-nano.toml").read_text().replace('"orin-nano"', '"clinic-3"'))
    assert load_target(copy).name == "clinic-3"
    assert load_target(str(copy)).compute_capabilities == ("8.7",)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"cannot read .*nowhere\.toml"):
        load_target(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("workspace_mib = 1", "workspace_mib"),
        ('compute_capabilities = ["sm_87"]', "compute_capabilities"),
        ("x = 1", "x"),
    ],
)
def test_a_broken_rule_is_named(tmp_path: Path, line: str, problem: str) -> None:
    file = tmp_path / "broken.toml"
    file.write_text(f'name = "broken"\ntitle = "Broken"\nbackend = "tensorrt"\n{line}\n')
    with pytest.raises(BuildError) as error:
        load_target(file)
    assert problem in error.value.why
