"""OpenVINO without its model converter, which nothing here needs.

OpenVINO imports the converter (`openvino.tools.ovc`) with itself, and goes on where it is missing. The converter takes
two thirds of the import, and reports that it was imported to Intel's usage statistics: a device in a clinic has neither
the time nor a network for that.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ov", "passes"]

CONVERTER = "openvino.tools.ovc"


@contextmanager
def _missing(module: str) -> Iterator[None]:
    """Whoever imports the module meanwhile meets an ImportError, unless it was imported before."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # Python's own way to say so: docs, "The import system", 5.3.1
    try:
        yield
    finally:
        del sys.modules[module]


with _missing(CONVERTER):
    import openvino as ov
    from openvino import passes
