"""Artefacts that know their hashes and are written whole or not at all."""

import ctypes
import errno
import json
from pathlib import Path

import pytest

from sall_edge.artifacts import (
    Checkpoint,
    CheckpointManifest,
    EngineManifest,
    manifest_from_json,
    open_checkpoint,
    open_engine,
    seal,
    sha256_of_file,
)
from sall_edge.errors import ArtefactChanged, ArtefactError, ArtefactForeign, ArtefactMissing, OutputError
from sall_edge.spec import ImageSpec, Task
from sall_edge.writing import file_being_written, folder_being_written

TASK = Task(name="dr", title="DR", column="dr_grade", grades=("none", "some"), referable_from=1)
FILES = ("weights.safetensors", "manifest.json", "signature")


class PowerCut(Exception):
    """Ends a block where nobody expects it."""


@pytest.fixture
def manifest() -> CheckpointManifest:
    return CheckpointManifest(
        image=ImageSpec(),
        tasks=(TASK,),
        operating_points={"dr": 0.5},
        backbone="none",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        temperatures={"dr": 1.0},
    )


@pytest.fixture
def checkpoint(manifest: CheckpointManifest, tmp_path: Path) -> Checkpoint:
    """A sealed folder; its weights are any bytes."""
    with folder_being_written(tmp_path / "checkpoint") as folder:
        (folder / "weights.safetensors").write_bytes(bytes(range(256)))
        seal(folder, manifest)
    return open_checkpoint(tmp_path / "checkpoint")


def _fill(folder: Path, text: str, *, then: Exception | None = None) -> None:
    with folder_being_written(folder) as temporary:
        (temporary / "content").write_text(text)
        if then:
            raise then


def _write(path: Path, text: str, *, then: Exception) -> None:
    with file_being_written(path) as temporary:
        assert temporary.suffix == path.suffix
        temporary.write_text(text)
        raise then


def test_a_sealed_folder_comes_back(checkpoint: Checkpoint, manifest: CheckpointManifest) -> None:
    assert checkpoint.sha256 == sha256_of_file(checkpoint.path / "manifest.json")
    assert checkpoint.manifest.files == {"weights.safetensors": sha256_of_file(checkpoint.path / "weights.safetensors")}
    assert checkpoint.manifest.created
    assert checkpoint.manifest.model_copy(update={"files": {}, "created": ""}) == manifest


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_a_changed_byte_in_any_file_is_refused(checkpoint: Checkpoint, name: str, place: float) -> None:
    file = checkpoint.path / name
    data = bytearray(file.read_bytes())
    data[int(place * (len(data) - 1))] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(ArtefactChanged) as problem:
        open_checkpoint(checkpoint.path)
    assert problem.value.fix


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(checkpoint: Checkpoint, name: str) -> None:
    (checkpoint.path / name).unlink()
    with pytest.raises(ArtefactMissing, match=name):
        open_checkpoint(checkpoint.path)


@pytest.mark.parametrize("name", ["evil.so", ".hidden", "folder"])
def test_what_the_manifest_does_not_name_is_refused(checkpoint: Checkpoint, name: str) -> None:
    place = checkpoint.path / name
    place.mkdir() if name == "folder" else place.touch()
    with pytest.raises(ArtefactChanged, match=name):
        open_checkpoint(checkpoint.path)


def test_a_checkpoint_is_no_engine(checkpoint: Checkpoint) -> None:
    with pytest.raises(ArtefactForeign, match="is no engine") as problem:
        open_engine(checkpoint.path)
    assert "sall-edge build" in problem.value.fix


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ArtefactMissing, match="nowhere"):
        open_engine(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '"format_version"', '{"format_version": null}'])
def test_what_is_no_manifest_is_foreign(text: str) -> None:
    with pytest.raises(ArtefactForeign):
        manifest_from_json(text, EngineManifest, Path("engine"))


def test_another_format_version_is_refused_before_its_fields_are_read(manifest: CheckpointManifest) -> None:
    content = {**json.loads(manifest.model_dump_json()), "format_version": 2, "a_new_field": 1}
    with pytest.raises(ArtefactForeign, match="format 2"):
        manifest_from_json(json.dumps(content), CheckpointManifest, Path("checkpoint"))


def test_an_interrupted_folder_leaves_the_old_one_and_no_trace(tmp_path: Path) -> None:
    _fill(tmp_path / "a", "old")
    with pytest.raises(PowerCut):
        _fill(tmp_path / "a", "new", then=PowerCut())
    assert (tmp_path / "a" / "content").read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_finished_folder_replaces_the_old_one_whole(tmp_path: Path) -> None:
    _fill(tmp_path / "a", "old")
    (tmp_path / "a" / "stale").touch()
    _fill(tmp_path / "a", "new")
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["content"]
    assert (tmp_path / "a" / "content").read_text() == "new"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_an_interrupted_file_leaves_the_old_one_and_no_trace(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("old")
    with pytest.raises(PowerCut):
        _write(tmp_path / "a.json", "new", then=PowerCut())
    assert (tmp_path / "a.json").read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "a.json"]


def test_a_finished_file_makes_its_folders_and_may_be_read_by_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.json"
    with file_being_written(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(tmp_path / "a", "old")

    def renamed(self: Path, target: Path) -> None:
        raise AssertionError("between two renames a power cut would leave nothing in the place")

    monkeypatch.setattr(Path, "rename", renamed)
    with folder_being_written(tmp_path / "a") as folder:
        (folder / "content").write_text("new")
    assert (tmp_path / "a" / "content").read_text() == "new"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS])
def test_where_folders_cannot_change_places_two_renames_do_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr("sall_edge.writing.ctypes.CDLL", lambda *name, **options: _Libc(code))
    _fill(tmp_path / "a", "old")
    with folder_being_written(tmp_path / "a") as folder:
        (folder / "content").write_text("new")
    assert (tmp_path / "a" / "content").read_text() == "new"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


class _Libc:
    """Whose `renameat2` fails."""

    def __init__(self, code: int) -> None:
        self.code = code

    def renameat2(self, *arguments: object) -> int:
        ctypes.set_errno(self.code)
        return -1


def test_a_refusal_of_the_file_system_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sall_edge.writing.ctypes.CDLL", lambda *name, **options: _Libc(errno.EBUSY))
    _fill(tmp_path / "a", "old")
    with pytest.raises(OutputError, match="cannot write") as problem, folder_being_written(tmp_path / "a") as folder:
        (folder / "content").write_text("new")
    assert "busy" in problem.value.why
    assert (tmp_path / "a" / "content").read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_libc_without_that_call_is_like_a_file_system_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sall_edge.writing.ctypes.CDLL", lambda *name, **options: object())
    _fill(tmp_path / "a", "old")
    with folder_being_written(tmp_path / "a") as folder:
        (folder / "content").write_text("new")
    assert (tmp_path / "a" / "content").read_text() == "new"


@pytest.mark.parametrize("writing", [file_being_written, folder_being_written])
def test_a_place_that_cannot_be_written_is_said_before_any_work(tmp_path: Path, writing: object) -> None:
    (tmp_path / "file").touch()
    reached = False
    with pytest.raises(OutputError, match="cannot write") as problem, writing(tmp_path / "file" / "a"):  # type: ignore[operator]  # either of the two
        reached = True
    assert not reached
    assert problem.value.fix


def test_a_name_that_is_taken_by_a_folder_is_said_and_the_folder_stays(tmp_path: Path) -> None:
    _fill(tmp_path / "a", "mine")
    with pytest.raises(OutputError), file_being_written(tmp_path / "a") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a" / "content").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_an_error_of_the_block_is_not_taken_for_an_error_of_the_place(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), folder_being_written(tmp_path / "a"):
        (tmp_path / "elsewhere").read_text()


def test_every_refusal_is_an_artefact_error() -> None:
    assert {ArtefactChanged, ArtefactForeign, ArtefactMissing} <= set(ArtefactError.__subclasses__())
