"""What a compiler hands back: the file it wrote, its version, and what it made of each convolution."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.build_progress import Progress, Quiet

__all__ = ["QUIET", "Compiled", "CompilerOptions", "Kernel", "KernelReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilerOptions:
    """What a compiler is given beside the graph; none of it changes the engine's verdicts.

    Attributes:
        progress: Told how far it is; only TensorRT takes long enough to tell.
        timing_caches: Folder for what TensorRT measured of its kernels; None keeps nothing.
    """

    progress: Progress = field(default_factory=Quiet)
    timing_caches: Path | None = None


QUIET = CompilerOptions()
"""Shows nothing, keeps nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One convolution or matrix product of the compiled engine.

    Attributes:
        name: As in the graph, where the compiler kept it.
        dtype: What it reads: "int8", "fp16", "fp32", or the compiler's own word.
    """

    name: str
    dtype: str


@dataclass(frozen=True, slots=True)
class KernelReport:
    """Every convolution and matrix product, in the order of computing; empty when the compiler does not tell."""

    kernels: tuple[Kernel, ...] = ()

    @property
    def int8(self) -> int:
        """How many read INT8."""
        return sum(kernel.dtype == "int8" for kernel in self.kernels)

    @property
    def others(self) -> tuple[Kernel, ...]:
        """Those that do not."""
        return tuple(kernel for kernel in self.kernels if kernel.dtype != "int8")

    def __str__(self) -> str:
        if not self.kernels:
            return "the compiler does not tell which convolutions are INT8"
        counts = Counter(kernel.dtype for kernel in self.kernels)
        most, count = ("int8", self.int8) if self.int8 else counts.most_common(1)[0]
        rest = ", ".join(f"{kernel.name} {kernel.dtype}" for kernel in self.kernels if kernel.dtype != most)
        return f"{count} of {len(self.kernels)} convolutions {most.upper()}" + (f"; {rest}" if rest else "")

    def as_json(self) -> dict[str, Any]:
        """For the manifest; `others` is empty when no kernel is INT8, because it would name them all."""
        others = [{"name": kernel.name, "dtype": kernel.dtype} for kernel in self.others] if self.int8 else []
        return {"summary": str(self), "convolutions": len(self.kernels), "int8": self.int8, "others": others}


def words(kernels: Iterable[tuple[str, str]], dtypes: dict[str, str]) -> KernelReport:
    """The report of (name, the compiler's dtype) pairs, with its words replaced by ours."""
    return KernelReport(tuple(Kernel(name=name, dtype=dtypes.get(dtype, dtype)) for name, dtype in kernels))


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A compiler's product.

    Attributes:
        blob: Name of the file in the bundle's folder.
        backend_version: Version of the library.
        kernels: What it made of the convolutions.
        left_to_gpu: Layers that the target's deep learning accelerator does not take.
        not_run_because: Why the engine cannot run on this machine; empty when it can.
    """

    blob: str
    backend_version: str
    kernels: KernelReport
    left_to_gpu: tuple[str, ...] = ()
    not_run_because: str = ""
