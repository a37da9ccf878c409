"""Installs what stands in for NVIDIA's hardware and libraries in tests, into the folder that it is given.

    tensorrt-VERSION/   NVIDIA's Python bindings, importable as `tensorrt` over a null library (`null_tensorrt.c`)
    stubs/VERSION/      their signatures, for mypy
    null/               the null library, under the names that the bindings ask for
    cuda/               a libcuda.so.1 in host memory (`host_cuda.c`)
    pycuda/             the real PyCUDA, compiled against it, and cuda-core

What is there already is left alone, unless its source here is newer. What a package registry lacks is skipped with the
reason, and so are the tests that need it.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
BINDINGS = {
    "10.3.0": "tensorrt-cu12-bindings==10.3.0",  # JetPack 6
    "10.13.3.9": "tensorrt-cu13-bindings==10.13.3.9",  # JetPack 7.0
    "10.16.1.11": "tensorrt-cu13-bindings==10.16.1.11",  # JetPack 7.2
    "11.0.0.114": "tensorrt-cu13-bindings==11.0.0.114",
    "11.4.0.106": "tensorrt-cu13-bindings==11.4.0.106",  # later JetPack 7
}
PYCUDA = "pycuda==2026.1"
_HEADERS = (Path("/usr/local/cuda/include"), Path(sysconfig.get_path("purelib")) / "nvidia" / "cu13" / "include")
KERNEL = HERE.parents[1] / "sall_edge" / "runtime" / "kernels" / "prepare.cu"
FAKES = HERE.parent / "fakes"
_SOURCES = {
    "cuda": (HERE / "host_cuda.c", HERE / "kernels_on_host.cpp", *FAKES.glob("*_on_cpu.h"), KERNEL),
    "null": (HERE / "null_tensorrt.c",),
}


def main(folder: Path) -> None:
    """Installs everything; one failure does not stop the rest."""
    folder.mkdir(parents=True, exist_ok=True)
    steps: list[tuple[str, Callable[[Path], None]]] = [("null", _null_library), ("cuda", _host_cuda)]
    steps += [(f"tensorrt-{version}", _bindings(requirement)) for version, requirement in BINDINGS.items()]
    steps += [("pycuda", _pycuda), ("stubs", _stubs)]
    for name, step in steps:
        place = folder / name
        if place.is_dir() and all(source.stat().st_mtime < place.stat().st_mtime for source in _SOURCES.get(name, ())):
            continue
        temporary = folder / f".{name}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            step(temporary)
        except (subprocess.CalledProcessError, OSError) as problem:
            output = getattr(problem, "stderr", b"") or b""
            reason = output.decode(errors="replace").strip().splitlines()[-1:] or [str(problem)]
            print(f"{name} is not installed, and the tests that need it are skipped: {reason[0]}", file=sys.stderr)
            shutil.rmtree(temporary)
        else:
            shutil.rmtree(place, ignore_errors=True)
            temporary.rename(place)
            print(f"{name} installed", file=sys.stderr)


def _null_library(folder: Path) -> None:
    for library in ("libnvinfer", "libnvinfer_plugin", "libnvonnxparser"):
        for major in (10, 11):
            name = f"{library}.so.{major}"
            _run("cc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", folder / name, HERE / "null_tensorrt.c")


def _host_cuda(folder: Path) -> None:
    """The driver functions that `host_cuda.c` does not define are generated: they answer NOT_SUPPORTED."""
    headers, object_file = f"-I{_headers()}", folder / "host_cuda.o"
    _run("cc", "-c", "-O1", "-fPIC", headers, HERE / "host_cuda.c", "-o", object_file)
    kernels = folder / "kernels.o"
    exact = ("-std=c++17", "-O2", "-ffp-contract=off", f"-I{FAKES}", f'-DPREPARE_CU="{KERNEL}"')
    _run("g++", "-c", "-fPIC", *exact, HERE / "kernels_on_host.cpp", "-o", kernels)
    defined = set(re.findall(r" T (\w+)", _run("nm", object_file)))
    texts = [_run("cc", "-E", headers, _headers() / name) for name in ("cuda.h", "cudaProfiler.h")]
    declared = set(re.findall(r"\bCUresult\s+(cu\w+)\s*\(", "".join(texts)))
    rest = folder / "rest.o"
    refusals = (f'int {name}(void) {{ return host_cuda_refuse("{name}"); }}' for name in sorted(declared - defined))
    source = folder / "rest.c"
    source.write_text("\n".join(("int host_cuda_refuse(const char *);", *refusals)) + "\n")
    _run("cc", "-c", "-fPIC", source, "-o", rest)
    library = folder / "libcuda.so.1"
    objects = (object_file, kernels, rest)
    _run("g++", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", library, *objects, "-ldl")
    (folder / "libcuda.so").symlink_to(library.name)


def _bindings(requirement: str) -> Callable[[Path], None]:
    def install(folder: Path) -> None:
        _pip("--no-deps", "--only-binary=:all:", "--target", folder, requirement)
        alias = folder / "tensorrt"  # NVIDIA's own package of that name holds these two lines and the libraries
        alias.mkdir()
        lines = "from tensorrt_bindings import *\nfrom tensorrt_bindings import __version__ as __version__\n"
        (alias / "__init__.py").write_text(lines)

    return install


def _pycuda(folder: Path) -> None:
    """From source, because PyCUDA ships no wheels: about a minute and a half on two cores."""
    _pip("--no-deps", "--target", folder, "cuda-core", "pytools", "siphash24", "platformdirs", "mako", "MarkupSafe")
    source_only = ("--no-deps", "--no-build-isolation", "--no-binary=pycuda")
    _run(sys.executable, "-m", "pip", "download", "--quiet", *source_only, "--dest", folder, PYCUDA)
    (archive,) = folder.glob("pycuda-*.tar.gz")
    with tarfile.open(archive) as content:
        content.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    source = archive.with_name(archive.name.removesuffix(".tar.gz"))
    cuda = folder.parent / "cuda"
    settings = {
        "CUDA_ROOT": str(_headers().parent),
        "CUDA_INC_DIR": [str(_headers())],
        "CUDADRV_LIB_DIR": [str(cuda)],
        "CUDADRV_LIBNAME": ["cuda"],
        "CUDA_ENABLE_CURAND": False,
        "CXXFLAGS": ["-O0"],
    }
    (source / "siteconf.py").write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()))
    _pip("--no-deps", "--no-build-isolation", "--target", folder, source)
    shutil.rmtree(source)
    archive.unlink()


def _stubs(folder: Path) -> None:
    """What mypy checks our calls against: NVIDIA's signatures, from the bindings' own docstrings."""
    _pip("--no-deps", "--target", folder / "tool", "pybind11-stubgen")
    for version in BINDINGS:
        bindings = folder.parent / f"tensorrt-{version}"
        if bindings.is_dir():
            path = os.pathsep.join(map(str, (folder / "tool", bindings)))
            environment = {**os.environ, "PYTHONPATH": path, "LD_LIBRARY_PATH": str(folder.parent / "null")}
            command = (sys.executable, "-m", "pybind11_stubgen", "--ignore-all-errors", "-o", folder / version)
            _run(*command, "tensorrt_bindings.tensorrt", env=environment)
            stub = folder / version / "tensorrt_bindings" / "tensorrt.pyi"
            (folder / version / "tensorrt.pyi").write_text(_repaired(stub.read_text()))
            shutil.rmtree(stub.parent)
    shutil.rmtree(folder / "tool")


_REPAIRS = (
    (r"\bin: ", "input_: "),  # a parameter that is called like a keyword
    (r"power: Weights = None, channel_axis: ", "power: Weights = None, *, channel_axis: "),
    (r"(->|:|\|) bool\b", r"\1 builtins.bool"),  # `tensorrt.bool` is a data type
    (r"typing\.SupportsInt|typing_extensions\.SupportsInt", "int"),  # what arrives in our callbacks
    (r": Dims\b(?=[,) ])", ": Dims | typing.Sequence[int]"),  # pybind11 converts tuples
    (r"^class Dims:", "class Dims(typing.Sequence[int]):"),
    (r"^class IHostMemory:", "class IHostMemory:\n    def __buffer__(self, flags: int) -> memoryview: ..."),
    (r"\A", "import builtins\nimport typing\n"),
    (r"\Z", "\n__version__: str\n"),
)
"""What pybind11's docstrings cannot say: pattern and replacement, for the whole stub."""


def _repaired(stub: str) -> str:
    for pattern, replacement in _REPAIRS:
        stub = re.sub(pattern, replacement, stub, flags=re.MULTILINE)
    return stub


def _headers() -> Path:
    for place in _HEADERS:
        if (place / "cuda.h").is_file():
            return place
    raise OSError(f"there is no cuda.h in {' or '.join(map(str, _HEADERS))}")


def _pip(*arguments: object) -> None:
    _run(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments)


def _run(*command: object, env: dict[str, str] | None = None) -> str:
    done = subprocess.run([str(word) for word in command], check=True, capture_output=True, env=env)
    return done.stdout.decode()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
