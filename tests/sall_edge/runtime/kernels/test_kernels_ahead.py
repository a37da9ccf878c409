import os
from collections.abc import Callable
from pathlib import Path
from shutil import which

import pytest

from sall_edge.errors import BackendMissing, BuildError
from sall_edge.runtime.kernels import __main__ as command
from sall_edge.runtime.kernels import ahead
from sall_edge.runtime.kernels.ahead import CAPABILITIES, Cubin, compile_ahead, find_nvcc
from sall_edge.runtime.kernels.cubin import architecture, cubin_name

OLD_NVCC = """#!/bin/sh
if [ "$1" = --list-gpu-arch ]; then printf 'compute_75\\ncompute_87\\n'; exit 0; fi
echo "$@" > "$(dirname "$0")/asked"
while [ "$1" != -o ]; do shift; done
echo compiled > "$2"
"""


def stand_in(folder: Path, script: str) -> str:
    """A script in nvcc's place; it shows how nvcc is called and what becomes of its answers."""
    path = folder / "nvcc"
    path.write_text(script)
    path.chmod(0o755)
    return str(path)


@pytest.mark.slow
@pytest.mark.skipif(which("nvcc") is None, reason="nvcc is not on this machine")
def test_nvcc_compiles_the_kernel_for_every_architecture(machine_of: Callable[[bytes], str], tmp_path: Path) -> None:
    cubins = list(compile_ahead(find_nvcc(), folder=tmp_path))
    assert [cubin.architecture for cubin in cubins] == [architecture(capability) for capability in CAPABILITIES]
    skipped = [f"{cubin.architecture}: {cubin.skipped_because}" for cubin in cubins if cubin.path is None]
    for cubin in cubins:
        if cubin.path is not None:
            assert machine_of(cubin.path.read_bytes()) == cubin.architecture
    if skipped:
        pytest.skip("; ".join(skipped))


def test_an_architecture_that_nvcc_does_not_know_is_skipped_with_a_reason(tmp_path: Path) -> None:
    nvcc = stand_in(tmp_path, OLD_NVCC)
    cubins = {cubin.architecture: cubin for cubin in compile_ahead(nvcc, folder=tmp_path)}
    assert cubins["sm_87"].path == tmp_path / cubin_name("8.7")
    assert cubins["sm_120"] == Cubin(architecture="sm_120", path=None, skipped_because=f"{nvcc} does not know it")
    assert sorted(path.name for path in tmp_path.glob("prepare-*")) == [cubin_name("7.5"), cubin_name("8.7")]


def test_nvcc_is_told_to_fuse_nothing_that_the_source_does_not_fuse(tmp_path: Path) -> None:
    list(compile_ahead(stand_in(tmp_path, OLD_NVCC), folder=tmp_path))
    assert "-cubin -arch=sm_87 --fmad=false" in (tmp_path / "asked").read_text()


def test_cubins_of_an_earlier_source_are_removed(tmp_path: Path) -> None:
    stale = tmp_path / "prepare-0123456789abcdef.sm_87.cubin"
    stale.write_bytes(b"old")
    list(compile_ahead(stand_in(tmp_path, OLD_NVCC), folder=tmp_path))
    assert not stale.exists()


def test_an_nvcc_that_fails_says_why_and_leaves_no_cubin(tmp_path: Path) -> None:
    script = '#!/bin/sh\nif [ "$1" = --list-gpu-arch ]; then echo compute_75; exit 0; fi\necho "no g++" >&2; exit 1\n'
    with pytest.raises(BuildError, match=r"-arch=sm_75 .* failed") as error:
        list(compile_ahead(stand_in(tmp_path, script), folder=tmp_path))
    assert error.value.why == "no g++"
    assert not list(tmp_path.glob("*.cubin"))


def test_an_nvcc_that_is_silent_is_named_by_its_code(tmp_path: Path) -> None:
    with pytest.raises(BuildError) as error:
        list(compile_ahead(stand_in(tmp_path, "#!/bin/sh\nexit 3\n"), folder=tmp_path))
    assert error.value.why == "it ended with code 3"


def test_a_machine_without_nvcc_says_what_happens_then(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(ahead, "_NVCC_OF_JETPACK", str(tmp_path / "nvcc"))
    with pytest.raises(BackendMissing, match="nvcc is not on this machine") as error:
        find_nvcc()
    assert "NVRTC compiles on the device" in error.value.fix


def test_nvcc_is_found_where_jetpack_puts_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nvcc = stand_in(tmp_path, OLD_NVCC)
    monkeypatch.setenv("PATH", os.fspath(tmp_path / "elsewhere"))
    monkeypatch.setattr(ahead, "_NVCC_OF_JETPACK", nvcc)
    assert find_nvcc() == nvcc


def test_the_command_prints_a_line_for_each_architecture(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cubins = [
        Cubin(architecture="sm_87", path=tmp_path / "prepare-1.sm_87.cubin", skipped_because=""),
        Cubin(architecture="sm_110", path=None, skipped_because="nvcc does not know it"),
    ]
    monkeypatch.setattr(command, "find_nvcc", lambda: "nvcc")
    monkeypatch.setattr(command, "compile_ahead", lambda nvcc: iter(cubins))
    assert command.main() == 0
    assert capsys.readouterr().out == "sm_87  prepare-1.sm_87.cubin\nsm_110  skipped: nvcc does not know it\n"


def test_the_command_fails_with_the_reason(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def missing() -> str:
        raise BackendMissing("nvcc is not on this machine", "it is nowhere", "install it")

    monkeypatch.setattr(command, "find_nvcc", missing)
    assert command.main() == 1
    assert "nvcc is not on this machine\n  why: it is nowhere" in capsys.readouterr().err
