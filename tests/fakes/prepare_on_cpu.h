// The kernel of prepare.cu on the CPU, launched with parameters that were packed as PyCUDA packs them.
#pragma once
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

// False when the size is not that of the kernel's parameters, padding at the end aside.
static bool unpacked(const void *packed, std::size_t size, Arguments &of) {
    if (size > sizeof of || sizeof of - size >= alignof(Arguments)) return false;
    std::memcpy(&of, packed, size);
    return true;
}

static void launch_cut_square(Index grid, Index block, const Arguments &of) {
    launch(grid, block, cut_square, of.source, of.row_bytes, of.pixel_bytes, of.red, of.green, of.blue, of.left, of.top,
           of.width, of.height, of.block_size, of.block_columns, of.block_rows, of.block_share, of.step, of.first_x,
           of.first_y, of.square, of.side);
}
