// Runs a CUDA kernel on the CPU, thread after thread: the same source, compiled by g++ with sanitizers.
//
// It shows the arithmetic and every address that is read or written. It cannot show races, since threads take turns;
// nor shared memory, barriers and warps, which it lacks; nor that nvcc's arithmetic is g++'s; nor any speed.
#pragma once
#include <algorithm>
#include <cmath>

#define __global__
#define __device__ static

struct Index {
    unsigned int x, y, z;
};

static Index threadIdx, blockIdx, blockDim, gridDim;

using std::min;

// What `kernel<<<grid, block>>>(arguments...)` does.
template <typename Kernel, typename... Arguments>
void launch(Index grid, Index block, Kernel kernel, Arguments... arguments) {
    gridDim = grid;
    blockDim = block;
    for (blockIdx.z = 0; blockIdx.z < grid.z; ++blockIdx.z)
        for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y)
            for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x)
                for (threadIdx.z = 0; threadIdx.z < block.z; ++threadIdx.z)
                    for (threadIdx.y = 0; threadIdx.y < block.y; ++threadIdx.y)
                        for (threadIdx.x = 0; threadIdx.x < block.x; ++threadIdx.x) kernel(arguments...);
}
