// Cuts squares on the CPU with the kernel of prepare.cu. Launches come on stdin until it ends, squares go to stdout.
//
// A launch is the grid and the block (2 and 3 int32), the size of the source in bytes (int64), the kernel's arguments
// packed as PyCUDA packs them, and the source. Source and square are allocated to the byte, so that the address
// sanitizer sees whatever lies outside.
#include "cuda_on_cpu.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

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

static bool read_into(void *target, std::size_t size) { return std::fread(target, 1, size, stdin) == size; }

int main() {
    std::uint32_t shape[5];
    while (read_into(shape, sizeof shape)) {
        std::int64_t source_bytes;
        alignas(8) unsigned char packed[ARGUMENT_BYTES];
        Arguments of{};
        static_assert(sizeof of >= sizeof packed && sizeof of - sizeof packed < 8, "only padding at the end differs");
        if (!read_into(&source_bytes, sizeof source_bytes) || !read_into(packed, sizeof packed)) return 2;
        std::copy(packed, packed + sizeof packed, reinterpret_cast<unsigned char *>(&of));
        std::vector<unsigned char> source(source_bytes), square(std::size_t(of.side) * of.side * 3, 77);
        if (!read_into(source.data(), source.size())) return 2;
        launch({shape[0], shape[1], 1}, {shape[2], shape[3], shape[4]}, cut_square, source.data(), of.row_bytes,
               of.pixel_bytes, of.red, of.green, of.blue, of.left, of.top, of.width, of.height, of.block_size,
               of.block_columns, of.block_rows, of.block_share, of.step, of.first_x, of.first_y, square.data(),
               of.side);
        std::fwrite(square.data(), 1, square.size(), stdout);
    }
    return std::fflush(stdout);
}
