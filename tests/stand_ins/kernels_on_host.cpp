// The kernels of the project, compiled by g++, for the stand-in driver to launch: see host_cuda.c.
#include "cuda_on_cpu.h"

#include <cstddef>
#include <cstring>

#include PREPARE_CU

struct Arguments {  // the order and the alignment of the parameters of `cut_square`
    const unsigned char *source;
    long long row_bytes;
    int pixel_bytes;
    long long red, green, blue;
    int left, top, width, height, block_size, block_columns, block_rows;
    float block_share, step, first_x, first_y;
    unsigned char *square;
    int side;
};

// Runs the kernel on parameters that were packed for the driver; false when their size is not the kernel's.
extern "C" int run_cut_square(const unsigned *grid, const unsigned *block, const void *packed, std::size_t size) {
    Arguments of{};
    if (size > sizeof of || sizeof of - size >= alignof(Arguments)) return 0;
    std::memcpy(&of, packed, size);
    launch({grid[0], grid[1], grid[2]}, {block[0], block[1], block[2]}, cut_square, of.source, of.row_bytes,
           of.pixel_bytes, of.red, of.green, of.blue, of.left, of.top, of.width, of.height, of.block_size,
           of.block_columns, of.block_rows, of.block_share, of.step, of.first_x, of.first_y, of.square, of.side);
    return 1;
}
