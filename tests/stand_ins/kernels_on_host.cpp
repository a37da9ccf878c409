// The kernels of the project, compiled by g++, for the stand-in driver to launch: see host_cuda.c.
#include "prepare_on_cpu.h"

// Runs the kernel on parameters that were packed for the driver; 0 when their size is not the kernel's.
extern "C" int run_cut_square(const unsigned *grid, const unsigned *block, const void *packed, std::size_t size) {
    Arguments of{};
    if (!unpacked(packed, size, of)) return 0;
    launch_cut_square({grid[0], grid[1], grid[2]}, {block[0], block[1], block[2]}, of);
    return 1;
}
