// Cuts squares on the CPU with the kernel of prepare.cu. Launches come on stdin until it ends, squares go to stdout.
//
// A launch is the grid and the block (2 and 3 int32), the size of the source in bytes (int64), the kernel's arguments
// packed as PyCUDA packs them, and the source. Source and square are allocated to the byte, so that the address
// sanitizer sees whatever lies outside.
#include "prepare_on_cpu.h"

#include <cstdint>
#include <cstdio>
#include <vector>

static bool read_into(void *target, std::size_t size) { return std::fread(target, 1, size, stdin) == size; }

int main() {
    std::uint32_t shape[5];
    while (read_into(shape, sizeof shape)) {
        std::int64_t source_bytes;
        alignas(8) unsigned char packed[ARGUMENT_BYTES];
        Arguments of{};
        if (!read_into(&source_bytes, sizeof source_bytes) || !read_into(packed, sizeof packed)) return 2;
        if (!unpacked(packed, sizeof packed, of)) return 3;
        std::vector<unsigned char> source(source_bytes), square(std::size_t(of.side) * of.side * 3, 77);
        if (!read_into(source.data(), source.size())) return 2;
        of.source = source.data();
        of.square = square.data();
        launch_cut_square({shape[0], shape[1], 1}, {shape[2], shape[3], shape[4]}, of);
        std::fwrite(square.data(), 1, square.size(), stdout);
    }
    return std::fflush(stdout);
}
