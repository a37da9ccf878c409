import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fakes.older_bundle import PLAN, install_device, older, tensorrt_bundle

import engines.rebuild
from engines.claim import claimed
from engines.compile import compiler_version
from engines.compiled import Compiled, CompilerOptions, KernelReport
from engines.rebuild import is_current, rebuild
from sall_edge.artifacts import Engine, open_engine
from sall_edge.errors import ArtefactChanged, ArtefactMissing, BuildError, GateRefused, OutputError, ParityError
from sall_edge.runtime.session import open_session
from sall_edge.spec import Backend, Precision

ROOT = Path(__file__).parents[2]
CARRIED = ("model.onnx", "qdq.onnx", "gate.json", "probes.npz")
STEPS = ("_carry", "compile_graph", "smoke", "read_probes", "verify", "seal")


def _untouched(engine: Engine) -> None:
    assert open_engine(engine.path).sha256 == engine.sha256
    assert [file.name for file in engine.path.parent.iterdir()] == [engine.path.name]


@pytest.fixture
def old(judged_engine: Engine, tmp_path: Path) -> Engine:
    return older(judged_engine, tmp_path / "engine")


@pytest.fixture
def plan(judged_engine: Engine, tmp_path: Path) -> Engine:
    return tensorrt_bundle(judged_engine, tmp_path / "engine")


def test_a_rebuilt_engine_is_the_same_but_for_who_compiled_it(old: Engine) -> None:
    new = rebuild(old)
    assert new == open_engine(old.path)
    assert new.manifest.backend_version == compiler_version(Backend.OPENVINO)
    assert is_current(new)
    assert not is_current(old)
    same = {"backend_version", "provenance"}
    assert new.manifest.model_dump(exclude=same) == old.manifest.model_dump(exclude=same)
    assert [file.name for file in old.path.parent.iterdir()] == ["engine"]


def test_the_manifest_says_what_was_judged_and_what_was_verified(old: Engine) -> None:
    new = rebuild(old)
    facts, version = new.manifest.provenance, new.manifest.backend_version
    assert facts["gate"] == (
        "passed lenient on 120 photographs; judged as 2020.1; verified on 16 probes after the rebuild"
    )
    told = facts["rebuilt"]
    assert (told["from"], told["to"], told["judged_as"]) == ("2020.1", version, "2020.1")
    assert told["largest_difference"] == pytest.approx(told["largest_when_judged"], abs=1e-5)  # OpenVINO judged it too
    assert told["when"].endswith("+00:00")
    assert facts["graph"] == old.manifest.provenance["graph"]
    assert facts["kernels"]["int8"] == 2


def test_a_second_rebuild_still_names_the_version_that_was_judged(old: Engine, tmp_path: Path) -> None:
    once = rebuild(old)
    again = rebuild(older(once, tmp_path / "again", backend_version="2021.2"))
    assert again.manifest.provenance["rebuilt"]["from"] == "2021.2"
    assert again.manifest.provenance["gate"] == once.manifest.provenance["gate"]


def test_a_plan_of_another_tensorrt_is_compiled_verified_and_swapped_in(
    plan: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_device(monkeypatch, "10.16.1")
    said: list[object] = []

    class Progress:
        def stage(self, name: str, total: int) -> None:
            said.append((name, total))

        def advance(self, n: int = 1) -> None:
            said.append(n)

    new = rebuild(plan, options=CompilerOptions(progress=Progress()))
    assert said == [("compiling", 1), 1, ("verifying", 17), *[1] * 17]
    assert (new.path / PLAN).read_bytes() == b"a plan of 10.16.1"
    assert new.manifest.backend_version == "10.16.1"
    assert all(new.manifest.files[name] == plan.manifest.files[name] for name in CARRIED)
    with open_session(new) as session:
        assert session.backend_version == "10.16.1"


def _drops_referrals(name: str, values: np.ndarray) -> np.ndarray:
    """A compiler whose engine finds every retina healthy."""
    if name == "dr_probs":
        values[:] = 0
        values[:, 0] = 1
    return values


def test_an_engine_that_drops_referrals_never_takes_the_place_of_the_old_one(
    plan: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_device(monkeypatch, "10.16.1", warp=_drops_referrals)
    with pytest.raises(GateRefused, match="does not decide as the one that was judged") as refusal:
        rebuild(plan)
    assert any(reason.startswith("dr: probe") and "referral lost" in reason for reason in refusal.value.reasons)
    assert not any(reason.startswith("amd") for reason in refusal.value.reasons)
    _untouched(plan)


def test_an_engine_that_answers_no_probabilities_is_refused_before_the_probes(
    plan: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_device(monkeypatch, "10.16.1", warp=lambda name, values: values * np.nan)
    with pytest.raises(ParityError, match="does not compute what its graph says"):
        rebuild(plan)
    _untouched(plan)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("step", STEPS)
def test_whatever_step_is_interrupted_the_old_engine_stays(
    old: Engine, monkeypatch: pytest.MonkeyPatch, step: str, error: type[BaseException]
) -> None:
    honest = getattr(engines.rebuild, step)

    def interrupted(*arguments: object, **options: object) -> None:
        honest(*arguments, **options)
        raise error

    monkeypatch.setattr(engines.rebuild, step, interrupted)
    with pytest.raises(error):
        rebuild(old)
    _untouched(old)


KILLED_WHILE_COMPILING = """
import sys, time
from pathlib import Path
import engines.rebuild
from sall_edge.artifacts import open_engine
def compile_graph(folder, **options):
    (folder / "engine.plan").write_bytes(b"half")
    print("compiling", flush=True)
    time.sleep(60)
engines.rebuild.compile_graph = compile_graph
engines.rebuild.rebuild(open_engine(Path(sys.argv[1])))
"""


def test_a_killed_rebuild_leaves_the_old_engine_and_the_next_clears_up_after_it(old: Engine) -> None:
    command = [sys.executable, "-c", KILLED_WHILE_COMPILING, str(old.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"compiling\n"
        with pytest.raises(BuildError, match="is being rebuilt already"):
            rebuild(old)
        process.send_signal(signal.SIGKILL)
    assert open_engine(old.path).sha256 == old.sha256
    assert len(list(old.path.parent.glob(".engine.*.tmp"))) == 1
    rebuild(old)
    assert [file.name for file in old.path.parent.iterdir()] == ["engine"]


def test_two_rebuilds_at_once_are_one_too_many(old: Engine) -> None:
    with claimed(old.path), pytest.raises(BuildError, match="is being rebuilt already"):
        rebuild(old)
    _untouched(old)


def test_without_probes_the_manifest_says_that_verdicts_were_not_verified(int8_engine: Engine, tmp_path: Path) -> None:
    new = rebuild(older(int8_engine, tmp_path / "engine"))
    assert new.manifest.provenance["rebuilt"]["verified"] == "not verified: the bundle carries no probes"
    assert new.manifest.provenance["gate"] == "not judged"
    judged = {**int8_engine.manifest.provenance, "gate": "passed clinical on 300 photographs"}
    new = rebuild(older(int8_engine, tmp_path / "judged", provenance=judged))
    assert new.manifest.provenance["gate"] == (
        "passed clinical on 300 photographs; judged as 2020.1; not verified: the bundle carries no probes"
    )


@pytest.mark.parametrize("name", CARRIED)
def test_a_damaged_bundle_is_not_rebuilt(old: Engine, name: str) -> None:
    content = bytearray((old.path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (old.path / name).write_bytes(content)
    with pytest.raises(ArtefactChanged, match=f"{name} changed"):
        rebuild(old)


@pytest.mark.parametrize("name", CARRIED)
def test_a_file_that_is_damaged_on_its_way_is_not_sealed(
    old: Engine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    honest = shutil.copyfile

    def copyfile(source: Path, place: Path) -> None:
        honest(source, place)
        if place.name == name:
            place.write_bytes(place.read_bytes() + b"\0")

    monkeypatch.setattr("engines.rebuild.shutil.copyfile", copyfile)
    with pytest.raises(ArtefactChanged, match="changed while it was copied"):
        rebuild(old)
    _untouched(old)


def test_a_bundle_without_the_graph_of_its_plan_is_said(fp32_engine: Engine, tmp_path: Path) -> None:
    made = older(fp32_engine, tmp_path / "engine", precision=Precision.FP16)
    with pytest.raises(ArtefactMissing, match=r"carries no fp16\.onnx"):
        rebuild(made)
    _untouched(made)


def test_a_plan_that_cannot_be_run_here_is_not_taken_on_trust(plan: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_graph(folder: Path, **options: object) -> Compiled:
        reason = "no GPU of compute capability 8.7"
        return Compiled(blob=PLAN, backend_version="2", kernels=KernelReport(), not_run_because=reason)

    monkeypatch.setattr(engines.rebuild, "compile_graph", compile_graph)
    with pytest.raises(BuildError, match="cannot be verified on this machine") as error:
        rebuild(plan)
    assert error.value.why == "no GPU of compute capability 8.7"
    _untouched(plan)


def test_a_link_keeps_pointing_to_the_place_that_is_rebuilt(old: Engine, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "current"
    link.symlink_to(old.path)
    new = rebuild(open_engine(link))
    assert link.is_symlink()
    assert new.path == link
    assert open_engine(old.path).sha256 == new.sha256


def test_a_full_disk_leaves_the_old_engine(old: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_graph(folder: Path, **options: object) -> Compiled:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(engines.rebuild, "compile_graph", compile_graph)
    with pytest.raises(OutputError, match="cannot write"):
        rebuild(old)
    _untouched(old)


def test_a_session_that_is_open_goes_on_over_the_swap(old: Engine) -> None:
    square = np.zeros((old.manifest.image.side_px,) * 2 + (3,), np.uint8)
    with open_session(old) as session:
        before = session.run(square).probs["dr"]
        start = time.perf_counter()
        rebuild(old)
        assert time.perf_counter() - start < 60
        np.testing.assert_array_equal(session.run(square).probs["dr"], before)
