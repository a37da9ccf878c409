"""Folders here are run in a process of their own, which has a stand-in where NVIDIA's library would be.

A process can hold one libcuda and one TensorRT, so `test_on_stand_ins.py` starts pytest again for each of them; a plain
run does not look into the folders.
"""

import os

collect_ignore = [] if "SALL_EDGE_STAND_IN" in os.environ else ["on_host_cuda", "on_bindings"]
