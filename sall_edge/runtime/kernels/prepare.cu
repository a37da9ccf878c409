// The square of a photograph, cut on the GPU in one pass: crop, means of blocks, bilinear points, colour order, disc.
//
// One thread makes one pixel of the square. It gives the numbers of `sall_edge.fundus.prepare.cut_square`, which OpenCV
// computes, so it rounds where OpenCV 5 rounds: block means to whole grey levels (INTER_AREA by a whole factor), points
// in float32 with fused multiply-adds (warpAffine). No shared memory and no barriers: the tests run this very file on
// a CPU. Every fusion is written out; compile with --fmad=false, or the compiler adds its own and the numbers move.

namespace {

struct Photograph {
    const unsigned char *first;  // first channel value of the first pixel of the frame
    long long row_bytes;         // may be wider than the pixels
    int pixel_bytes;             // 3 when channels are interleaved, 1 when each has its own plane
    long long red, green, blue;  // bytes from a pixel's address to its channels
    int left, top, width, height;  // the crop, in pixels
};

struct Blocks {
    int size;            // side in pixels; 1 leaves the pixels as they are
    int columns, rows;   // how many cover the crop
    float share;         // 1 / (size * size)
};

struct Colour {
    float red, green, blue;
};

// INTER_AREA of OpenCV: blocks of 2 x 2 round halves up, all others to even.
__device__ float mean_of(unsigned int sum, const Blocks &blocks) {
    if (blocks.size == 1) return static_cast<float>(sum);
    if (blocks.size == 2) return static_cast<float>((sum + 2) >> 2);
    return rintf(static_cast<float>(sum) * blocks.share);
}

// Beyond the last row and column the last pixel is repeated; beyond the last block all is black.
__device__ Colour block_mean(const Photograph &photograph, const Blocks &blocks, int column, int row) {
    if (column < 0 || row < 0 || column >= blocks.columns || row >= blocks.rows) return {0.0f, 0.0f, 0.0f};
    const int left = column * blocks.size, top = row * blocks.size;
    unsigned int red = 0, green = 0, blue = 0;
    for (int y = top; y < top + blocks.size; ++y) {
        const long long line = photograph.top + min(y, photograph.height - 1);
        const unsigned char *pixels = photograph.first + line * photograph.row_bytes;
        for (int x = left; x < left + blocks.size; ++x) {
            const int place = photograph.left + min(x, photograph.width - 1);
            const unsigned char *pixel = pixels + place * photograph.pixel_bytes;
            red += pixel[photograph.red];
            green += pixel[photograph.green];
            blue += pixel[photograph.blue];
        }
    }
    return {mean_of(red, blocks), mean_of(green, blocks), mean_of(blue, blocks)};
}

// Along x first, then along y, as warpAffine does. A mean of numbers in 0..255 stays there.
__device__ unsigned char between(float above, float above_right, float below, float below_right, float x, float y) {
    const float upper = fmaf(x, above_right - above, above);
    const float lower = fmaf(x, below_right - below, below);
    return static_cast<unsigned char>(rintf(fmaf(y, lower - upper, upper)));
}

// Whether a pixel's centre lies in the circle that fills the square; doubled, so that whole numbers decide.
__device__ bool is_in_disc(int x, int y, int side) {
    const int across = 2 * x - (side - 1), down = 2 * y - (side - 1);
    return across * across + down * down <= side * side;
}

}  // namespace

// `square` is side x side x 3 bytes, RGB. `step`, `first_x` and `first_y` are those of `Sampling`, in blocks.
extern "C" __global__ void cut_square(
    const unsigned char *source, long long row_bytes, int pixel_bytes, long long red, long long green, long long blue,
    int left, int top, int width, int height, int block_size, int block_columns, int block_rows, float block_share,
    float step, float first_x, float first_y, unsigned char *square, int side) {
    const int x = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    const int y = static_cast<int>(blockIdx.y * blockDim.y + threadIdx.y);
    if (x >= side || y >= side) return;
    unsigned char *pixel = square + (static_cast<long long>(y) * side + x) * 3;
    if (!is_in_disc(x, y, side)) {
        pixel[0] = pixel[1] = pixel[2] = 0;
        return;
    }
    const Photograph photograph = {source, row_bytes, pixel_bytes, red, green, blue, left, top, width, height};
    const Blocks blocks = {block_size, block_columns, block_rows, block_share};
    const float across = fmaf(step, static_cast<float>(x), first_x);
    const float down = step * static_cast<float>(y) + first_y;  // not fused in OpenCV either
    const float column = floorf(across), row = floorf(down);
    const float aside = across - column, below = down - row;
    const int i = static_cast<int>(column), j = static_cast<int>(row);
    const Colour a = block_mean(photograph, blocks, i, j), b = block_mean(photograph, blocks, i + 1, j);
    const Colour c = block_mean(photograph, blocks, i, j + 1), d = block_mean(photograph, blocks, i + 1, j + 1);
    pixel[0] = between(a.red, b.red, c.red, d.red, aside, below);
    pixel[1] = between(a.green, b.green, c.green, d.green, aside, below);
    pixel[2] = between(a.blue, b.blue, c.blue, d.blue, aside, below);
}
