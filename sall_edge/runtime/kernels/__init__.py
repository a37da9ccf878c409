"""CUDA kernels: what a GPU does to a photograph before the engine sees it.

`prepare.cu` is the source, `prepare.py` launches it, `cubin.py` finds or makes its machine code for one GPU, `ahead.py`
compiles it with nvcc for all of them (`python -m sall_edge.runtime.kernels`, or `make kernels`).
"""

from sall_edge.runtime.kernels.prepare import ChannelOrder, PrepareKernel, open_prepare_kernel

__all__ = ["ChannelOrder", "PrepareKernel", "open_prepare_kernel"]
