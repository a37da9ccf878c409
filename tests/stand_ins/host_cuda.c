/* A libcuda.so.1 in host memory: what the real PyCUDA and cuda-core call on a machine without a GPU.

   Real: contexts and their stack, device and pinned memory with guard bytes around it, copies that are checked against
   the bounds of both sides, events, streams, stream capture and graphs of copies and host functions.
   A module is taken when it is machine code for sm_87, and its kernel is launched with the parameters that were packed
   for it: what runs is the same source, compiled by g++ (kernels_on_host.cpp), never the machine code.
   Refused with CUDA_ERROR_NOT_SUPPORTED: everything that is not defined here (install.py generates those).
   Streams do their work at once: a race does not show.
   One thread at a time. host_cuda_* at the end are for tests. */
#define _GNU_SOURCE
#include <cuda.h>
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BLOCKS = 4096, STACK = 64, OPERATIONS = 64, GUARD = 256 };
enum Kind { DEVICE, PINNED, STREAMS, EVENTS, GRAPHS, MODULES, KINDS };

typedef struct { unsigned char *start; size_t size; enum Kind kind; } Block;
typedef struct { int what; unsigned char *to; const unsigned char *from; size_t size; CUhostFn call; void *data; } Operation;
typedef struct { void *held; CUhostFn destroy; unsigned count; } Object; /* what a graph keeps alive */
typedef struct { int count; Operation operations[OPERATIONS]; int objects; Object *kept[OPERATIONS]; } Graph;
typedef struct { Graph *capturing; } Stream;

static Block blocks[BLOCKS];
static long live[KINDS], allocations, violations, primary;
static int primary_context, fail_after = -1, integrated;
static CUcontext stack[STACK];
static int depth;

#define NEEDS_CONTEXT if (!depth || !stack[depth - 1]) return CUDA_ERROR_INVALID_CONTEXT

static CUresult allocate(void **place, size_t size, enum Kind kind) {
    NEEDS_CONTEXT;
    if (!size) return CUDA_ERROR_INVALID_VALUE;
    if (fail_after == 0) return CUDA_ERROR_OUT_OF_MEMORY;
    if (fail_after > 0) fail_after--;
    Block *block = blocks;
    while (block < blocks + BLOCKS && block->start) block++;
    unsigned char *whole = block < blocks + BLOCKS ? aligned_alloc(256, (size + 2 * GUARD + 255) / 256 * 256) : NULL;
    if (!whole) return CUDA_ERROR_OUT_OF_MEMORY;
    memset(whole, 0xA5, size + 2 * GUARD); /* never zero: what was not written is seen */
    *block = (Block){whole + GUARD, size, kind};
    live[kind]++, allocations++;
    *place = block->start;
    return CUDA_SUCCESS;
}

static CUresult release(const void *place, enum Kind kind) {
    NEEDS_CONTEXT;
    for (Block *block = blocks; block < blocks + BLOCKS; block++) {
        if (block->start != place || block->kind != kind || !place) continue;
        for (int i = 0; i < GUARD; i++)
            if (block->start[-1 - i] != 0xA5 || block->start[block->size + i] != 0xA5) { violations++; break; }
        free(block->start - GUARD);
        block->start = NULL, live[kind]--;
        return CUDA_SUCCESS;
    }
    violations++;
    return CUDA_ERROR_INVALID_VALUE;
}

static int holds(const void *place, size_t size, int pinned_too) {
    for (Block *block = blocks; block < blocks + BLOCKS; block++) {
        const unsigned char *first = place;
        if (block->start && (block->kind == DEVICE || pinned_too) && first >= block->start &&
            first + size <= block->start + block->size) return 1;
    }
    violations++;
    return 0;
}

static CUresult do_now(const Operation *operation) {
    if (operation->call) operation->call(operation->data);
    else memmove(operation->to, operation->from, operation->size);
    return CUDA_SUCCESS;
}

static CUresult queue(CUstream handle, Operation operation) {
    NEEDS_CONTEXT;
    Stream *stream = (Stream *)handle;
    if (!stream || !stream->capturing) return do_now(&operation);
    Graph *graph = stream->capturing;
    if (graph->count == OPERATIONS) return CUDA_ERROR_OUT_OF_MEMORY;
    graph->operations[graph->count++] = operation;
    return CUDA_SUCCESS;
}

static CUresult copy(CUstream stream, void *to, const void *from, size_t size) {
    return queue(stream, (Operation){.to = to, .from = from, .size = size});
}

/* the driver and its one device: it says of itself that it is none */
CUresult cuInit(unsigned flags) { return CUDA_SUCCESS; }
CUresult cuDriverGetVersion(int *version) { *version = CUDA_VERSION; return CUDA_SUCCESS; }
CUresult cuDeviceGetCount(int *count) { *count = 1; return CUDA_SUCCESS; }
CUresult cuDeviceGet(CUdevice *device, int ordinal) { *device = 0; return ordinal ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS; }
CUresult cuDeviceGetName(char *name, int size, CUdevice device) { snprintf(name, size, "host memory (no GPU)"); return CUDA_SUCCESS; }
CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device) { *bytes = (size_t)1 << 30; return CUDA_SUCCESS; }
CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device) { memset(uuid, 0, sizeof *uuid); return CUDA_SUCCESS; }
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
    switch (attribute) {
        case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = 8; break;
        case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = 7; break;
        case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING: case CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY: *value = 1; break;
        case CU_DEVICE_ATTRIBUTE_INTEGRATED: *value = integrated; break;
        default: *value = 0;
    }
    return CUDA_SUCCESS;
}
CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device) { *major = 8; *minor = 7; return CUDA_SUCCESS; }

/* contexts: the primary one is counted, the stack is kept */
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) { primary++; *context = (CUcontext)&primary_context; return CUDA_SUCCESS; }
CUresult cuDevicePrimaryCtxRelease(CUdevice device) { primary--; return CUDA_SUCCESS; }
CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active) { *flags = 0; *active = primary > 0; return CUDA_SUCCESS; }
CUresult cuCtxPushCurrent(CUcontext context) { if (depth == STACK) return CUDA_ERROR_INVALID_VALUE; stack[depth++] = context; return CUDA_SUCCESS; }
CUresult cuCtxPopCurrent(CUcontext *context) {
    if (!depth) return CUDA_ERROR_INVALID_CONTEXT;
    depth--;
    if (context) *context = stack[depth];
    return CUDA_SUCCESS;
}
CUresult cuCtxGetCurrent(CUcontext *context) { *context = depth ? stack[depth - 1] : NULL; return CUDA_SUCCESS; }
CUresult cuCtxSetCurrent(CUcontext context) { if (!depth) depth = 1; stack[depth - 1] = context; return CUDA_SUCCESS; }
CUresult cuCtxGetDevice(CUdevice *device) { NEEDS_CONTEXT; *device = 0; return CUDA_SUCCESS; }
CUresult cuCtxGetApiVersion(CUcontext context, unsigned *version) { *version = 3020; return CUDA_SUCCESS; }
CUresult cuCtxSynchronize(void) { NEEDS_CONTEXT; return CUDA_SUCCESS; }

/* memory */
CUresult cuMemAlloc(CUdeviceptr *place, size_t size) { return allocate((void **)place, size, DEVICE); }
CUresult cuMemFree(CUdeviceptr place) { return release((void *)(uintptr_t)place, DEVICE); }
CUresult cuMemHostAlloc(void **place, size_t size, unsigned flags) { return allocate(place, size, PINNED); }
CUresult cuMemAllocHost(void **place, size_t size) { return allocate(place, size, PINNED); }
CUresult cuMemFreeHost(void *place) { return release(place, PINNED); }
CUresult cuMemHostGetDevicePointer(CUdeviceptr *device, void *place, unsigned flags) {
    if (!holds(place, 1, 1)) return CUDA_ERROR_INVALID_VALUE;
    *device = (CUdeviceptr)(uintptr_t)place;
    return CUDA_SUCCESS;
}
CUresult cuMemGetInfo(size_t *available, size_t *total) { NEEDS_CONTEXT; *available = *total = (size_t)1 << 30; return CUDA_SUCCESS; }
CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t size, CUstream stream) {
    if (!holds((void *)(uintptr_t)to, size, 0) || !holds(from, size, 1)) return CUDA_ERROR_INVALID_VALUE; /* pinned only */
    return copy(stream, (void *)(uintptr_t)to, from, size);
}
CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t size, CUstream stream) {
    if (!holds((void *)(uintptr_t)from, size, 0) || !holds(to, size, 1)) return CUDA_ERROR_INVALID_VALUE;
    return copy(stream, to, (void *)(uintptr_t)from, size);
}

/* streams and events */
CUresult cuStreamCreate(CUstream *stream, unsigned flags) { NEEDS_CONTEXT; *stream = calloc(1, sizeof(Stream)); live[STREAMS]++; return CUDA_SUCCESS; }
CUresult cuStreamDestroy(CUstream stream) { free(stream); live[STREAMS]--; return CUDA_SUCCESS; }
CUresult cuStreamSynchronize(CUstream stream) { return ((Stream *)stream)->capturing ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS; }
CUresult cuStreamQuery(CUstream stream) { return CUDA_SUCCESS; }
CUresult cuStreamGetFlags(CUstream stream, unsigned *flags) { *flags = 0; return CUDA_SUCCESS; }
CUresult cuStreamGetPriority(CUstream stream, int *priority) { *priority = 0; return CUDA_SUCCESS; }
CUresult cuStreamGetCtx(CUstream stream, CUcontext *context) { *context = (CUcontext)&primary_context; return CUDA_SUCCESS; }
CUresult cuLaunchHostFunc(CUstream stream, CUhostFn call, void *data) { return queue(stream, (Operation){.call = call, .data = data}); }
CUresult cuEventCreate(CUevent *event, unsigned flags) { NEEDS_CONTEXT; *event = calloc(1, sizeof(double)); live[EVENTS]++; return CUDA_SUCCESS; }
CUresult cuEventDestroy(CUevent event) { free(event); live[EVENTS]--; return CUDA_SUCCESS; }
CUresult cuEventRecord(CUevent event, CUstream stream) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    *(double *)event = now.tv_sec * 1e3 + now.tv_nsec / 1e6;
    return CUDA_SUCCESS;
}
CUresult cuEventSynchronize(CUevent event) { return CUDA_SUCCESS; }
CUresult cuEventQuery(CUevent event) { return CUDA_SUCCESS; }
CUresult cuEventElapsedTime(float *ms, CUevent start, CUevent end) { *ms = (float)(*(double *)end - *(double *)start); return CUDA_SUCCESS; }

/* capture: what is queued on the stream is noted, and done at every launch of the graph */
CUresult cuStreamBeginCapture(CUstream handle, CUstreamCaptureMode mode) {
    Stream *stream = (Stream *)handle;
    if (stream->capturing) return CUDA_ERROR_ILLEGAL_STATE;
    stream->capturing = calloc(1, sizeof(Graph));
    live[GRAPHS]++;
    return CUDA_SUCCESS;
}
CUresult cuStreamEndCapture(CUstream handle, CUgraph *graph) {
    Stream *stream = (Stream *)handle;
    if (!stream->capturing) return CUDA_ERROR_ILLEGAL_STATE;
    *graph = (CUgraph)stream->capturing;
    stream->capturing = NULL;
    return CUDA_SUCCESS;
}
CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status) {
    *status = ((Stream *)stream)->capturing ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE;
    return CUDA_SUCCESS;
}
CUresult cuStreamGetCaptureInfo(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
                                const CUgraphNode **nodes, const CUgraphEdgeData **edges, size_t *count) {
    if (id) *id = 1;
    if (graph) *graph = (CUgraph)((Stream *)stream)->capturing;
    if (nodes) *nodes = NULL;
    if (edges) *edges = NULL;
    if (count) *count = 0;
    return cuStreamIsCapturing(stream, status);
}
CUresult cuStreamGetCaptureInfo_v2(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
                                   const CUgraphNode **nodes, size_t *count) { /* before CUDA 12.3 there were no edges */
    return cuStreamGetCaptureInfo(stream, status, id, graph, nodes, NULL, count);
}
CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode) { return CUDA_SUCCESS; }
CUresult cuUserObjectCreate(CUuserObject *object, void *held, CUhostFn destroy, unsigned count, unsigned flags) {
    Object *made = malloc(sizeof(Object));
    *made = (Object){held, destroy, count};
    *object = (CUuserObject)made;
    return CUDA_SUCCESS;
}
CUresult cuUserObjectRelease(CUuserObject handle, unsigned count) {
    Object *object = (Object *)handle;
    object->count -= count;
    if (!object->count) { object->destroy(object->held); free(object); }
    return CUDA_SUCCESS;
}
CUresult cuGraphRetainUserObject(CUgraph handle, CUuserObject object, unsigned count, unsigned flags) {
    Graph *graph = (Graph *)handle;
    if (graph->objects == OPERATIONS) return CUDA_ERROR_OUT_OF_MEMORY;
    graph->kept[graph->objects++] = (Object *)object;
    if (flags != CU_GRAPH_USER_OBJECT_MOVE) ((Object *)object)->count += count;
    return CUDA_SUCCESS;
}
CUresult cuGraphReleaseUserObject(CUgraph handle, CUuserObject object, unsigned count) {
    Graph *graph = (Graph *)handle;
    for (int i = 0; i < graph->objects; i++)
        if (graph->kept[i] == (Object *)object) {
            graph->kept[i] = graph->kept[--graph->objects];
            return cuUserObjectRelease(object, count);
        }
    return CUDA_ERROR_INVALID_VALUE;
}
static CUresult destroy(Graph *graph) {
    for (int i = 0; i < graph->objects; i++) cuUserObjectRelease((CUuserObject)graph->kept[i], 1);
    free(graph);
    live[GRAPHS]--;
    return CUDA_SUCCESS;
}
static CUresult instantiate(CUgraphExec *executable, CUgraph handle) {
    Graph *graph = malloc(sizeof(Graph));
    memcpy(graph, handle, sizeof(Graph));
    for (int i = 0; i < graph->objects; i++) graph->kept[i]->count++;
    *executable = (CUgraphExec)graph;
    live[GRAPHS]++;
    return CUDA_SUCCESS;
}
CUresult cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph, unsigned long long flags) { return instantiate(executable, graph); }
CUresult cuGraphInstantiateWithParams(CUgraphExec *executable, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS *parameters) {
    parameters->result_out = CUDA_GRAPH_INSTANTIATE_SUCCESS;
    return instantiate(executable, graph);
}
CUresult cuGraphUpload(CUgraphExec executable, CUstream stream) { return CUDA_SUCCESS; }
CUresult cuGraphLaunch(CUgraphExec executable, CUstream stream) {
    NEEDS_CONTEXT;
    Graph *graph = (Graph *)executable;
    for (int i = 0; i < graph->count; i++) do_now(&graph->operations[i]);
    return CUDA_SUCCESS;
}
CUresult cuGraphDestroy(CUgraph graph) { return destroy((Graph *)graph); }
CUresult cuGraphExecDestroy(CUgraphExec executable) { return destroy((Graph *)executable); }

/* what is not defined here is generated, and comes through this */
static const char *refused = "nothing";
int host_cuda_refuse(const char *function) { refused = function; return CUDA_ERROR_NOT_SUPPORTED; }

/* modules: code must be an ELF file for sm_87; the one kernel that there is */
int run_cut_square(const unsigned *grid, const unsigned *block, const void *packed, size_t size);
static int module;
CUresult cuModuleLoadDataEx(CUmodule *handle, const void *image, unsigned count, CUjit_option *options, void **values) {
    const unsigned char *code = image;
    if (memcmp(code, "\177ELF", 4)) return CUDA_ERROR_INVALID_IMAGE;
    unsigned flags;
    memcpy(&flags, code + 48, sizeof flags);
    unsigned architecture = code[8] >= 8 ? flags >> 8 & 0xFF : flags & 0xFF; /* CUDA 13 moved it by a byte */
    if (architecture != 87) return CUDA_ERROR_NO_BINARY_FOR_GPU;
    *handle = (CUmodule)&module;
    live[MODULES]++;
    return CUDA_SUCCESS;
}
CUresult cuModuleUnload(CUmodule handle) { live[MODULES]--; return CUDA_SUCCESS; }
CUresult cuModuleGetFunction(CUfunction *function, CUmodule handle, const char *name) {
    *function = (CUfunction)&module;
    return strcmp(name, "cut_square") ? CUDA_ERROR_NOT_FOUND : CUDA_SUCCESS;
}
CUresult cuFuncSetBlockShape(CUfunction function, int x, int y, int z) { return CUDA_SUCCESS; }
CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                        unsigned block_y, unsigned block_z, unsigned shared, CUstream stream, void **arguments, void **extra) {
    NEEDS_CONTEXT;
    if (arguments || !extra || (stream && ((Stream *)stream)->capturing)) return CUDA_ERROR_NOT_SUPPORTED;
    const void *packed = NULL;
    size_t size = 0;
    for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
        if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER) packed = extra[1];
        if (extra[0] == CU_LAUNCH_PARAM_BUFFER_SIZE) size = *(size_t *)extra[1];
    }
    unsigned grid[] = {grid_x, grid_y, grid_z}, block[] = {block_x, block_y, block_z};
    return run_cut_square(grid, block, packed, size) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* errors by name, as PyCUDA and cuda-core print them */
CUresult cuGetErrorName(CUresult error, const char **text) {
    *text = error == CUDA_ERROR_OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR";
    return CUDA_SUCCESS;
}
CUresult cuGetErrorString(CUresult error, const char **text) {
    static char line[128];
    if (error == CUDA_ERROR_OUT_OF_MEMORY) snprintf(line, sizeof line, "out of memory");
    else snprintf(line, sizeof line, "host memory driver: error %d, last refused: %s", error, refused);
    *text = line;
    return CUDA_SUCCESS;
}

/* cuda-core asks for functions by name and the version of CUDA in which they came; unless an older one has other
   parameters, the newest variant serves, which is the one that cuda.h maps the name to */
CUresult cuGetProcAddress(const char *symbol, void **function, int version, cuuint64_t flags, CUdriverProcAddressQueryResult *status) {
    static const char *const endings[] = {"_v4", "_v3", "_v2", ""};
    if (version < 12030 && !strcmp(symbol, "cuStreamGetCaptureInfo")) symbol = "cuStreamGetCaptureInfo_v2";
    char name[128];
    *function = NULL;
    void *self = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
    for (int i = 0; i < 4 && self && !*function; i++) {
        snprintf(name, sizeof name, "%s%s", symbol, endings[i]);
        *function = dlsym(self, name);
    }
    if (status) *status = *function ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

/* for tests */
long host_cuda_live(int kind) { return live[kind]; }
long host_cuda_allocations(void) { return allocations; }
long host_cuda_violations(void) { return violations; }
long host_cuda_contexts(void) { return primary; }
void host_cuda_forgive(void) { violations = 0; }
int host_cuda_depth(void) { return depth; }
void host_cuda_fail_after(int count) { fail_after = count; } /* allocations that still succeed; -1: all */
void host_cuda_set_integrated(int yes) { integrated = yes; }
