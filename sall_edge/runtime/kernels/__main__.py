"""`python -m sall_edge.runtime.kernels`: compiles the kernels ahead, into the package."""

import sys

from sall_edge.errors import SallEdgeError
from sall_edge.runtime.kernels.ahead import compile_ahead, find_nvcc


def main() -> int:
    """0 when every architecture that nvcc knows is compiled, 1 with the reason on stderr otherwise."""
    try:
        for cubin in compile_ahead(find_nvcc()):
            outcome = cubin.path.name if cubin.path else f"skipped: {cubin.skipped_because}"
            sys.stdout.write(f"{cubin.architecture}  {outcome}\n")
    except SallEdgeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
