/* A pretend CUDA runtime: memory is the host's, copies are done, kernels do nothing. libcudart.so.13. */
#define _GNU_SOURCE
#include <cuda_runtime_api.h>
#include <stdlib.h>
#include <string.h>
#include "counters.h"
#include "pretend.h"

#define GPUS 2
#define GPU_BYTES (80ul << 30)

/* ---------------------------------------------------------------- recording
   While a stream is recorded as a graph, CUDA refuses whatever allocates or waits, on any thread. */

static cudaStream_t recorded;
static int recording;

static cudaError_t unless_recording(void) {
  if (!recording) return cudaSuccess;
  pretend_count_call("refused while recording");
  return cudaErrorStreamCaptureUnsupported;
}

/* PRETEND_CUDA_RECORDING=0: no stream can be recorded. */
EXPORT cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
  COUNT;
  const char *setting = getenv("PRETEND_CUDA_RECORDING");
  if (setting != NULL && strcmp(setting, "0") == 0) return cudaErrorStreamCaptureUnsupported;
  recorded = stream;
  recording = 1;
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *made) {
  recording = 0;
  *made = malloc(8);
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status) {
  *status = recording && stream == recorded ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  COUNT;
  return unless_recording();
}
EXPORT cudaError_t cudaDeviceSynchronize(void) {
  COUNT;
  return unless_recording();
}

/* ---------------------------------------------------------------- memory */

EXPORT cudaError_t cudaMalloc(void **made, size_t bytes) {
  COUNT;
  if (unless_recording() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
  *made = pretend_allocate(bytes);
  return *made == NULL ? cudaErrorMemoryAllocation : cudaSuccess;
}
EXPORT cudaError_t cudaMallocFromPoolAsync(void **made, size_t bytes, cudaMemPool_t pool, cudaStream_t stream) {
  return cudaMalloc(made, bytes);
}
EXPORT cudaError_t cudaFree(void *start) {
  COUNT;
  if (unless_recording() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
  pretend_release(start);
  return cudaSuccess;
}
EXPORT cudaError_t cudaFreeAsync(void *start, cudaStream_t stream) { return cudaFree(start); }

EXPORT cudaError_t cudaMallocHost(void **made, size_t bytes) {
  COUNT;
  *made = aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095);
  return *made == NULL ? cudaErrorMemoryAllocation : cudaSuccess;
}
EXPORT cudaError_t cudaHostAlloc(void **made, size_t bytes, unsigned flags) { return cudaMallocHost(made, bytes); }
EXPORT cudaError_t cudaFreeHost(void *start) {
  COUNT;
  free(start);
  return cudaSuccess;
}

/* PRETEND_CUDA_COPIES=0: copies to and on the GPU are counted alone, so that models of any size cost nothing. */
static int copies(enum cudaMemcpyKind kind) {
  static int made = -1;
  if (made < 0) {
    const char *setting = getenv("PRETEND_CUDA_COPIES");
    made = setting == NULL || strcmp(setting, "0") != 0;
  }
  return made || kind == cudaMemcpyHostToHost;
}

static cudaError_t copy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
  static const char *const names[] = {"HostToHost", "HostToDevice", "DeviceToHost", "DeviceToDevice", "Default"};
  pretend_count_call(names[kind]);
  /* A replay would read the host's memory as it is then. */
  if (recording && kind != cudaMemcpyDeviceToDevice) pretend_count_call("recorded copy of the host");
  if (copies(kind)) memmove(to, from, bytes);
  return cudaSuccess;
}
EXPORT cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
  return copy(to, from, bytes, kind);
}
EXPORT cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t s) {
  return copy(to, from, bytes, kind);
}
EXPORT cudaError_t cudaMemcpy2DAsync(void *to, size_t toPitch, const void *from, size_t fromPitch, size_t width,
                                     size_t rows, enum cudaMemcpyKind kind, cudaStream_t stream) {
  for (size_t row = 0; row < rows; row++)
    copy((char *)to + row * toPitch, (const char *)from + row * fromPitch, width, kind);
  return cudaSuccess;
}
EXPORT cudaError_t cudaMemcpyFromSymbol(void *to, const void *symbol, size_t bytes, size_t offset,
                                        enum cudaMemcpyKind kind) {
  memset(to, 0, bytes);
  return cudaSuccess;
}
EXPORT cudaError_t cudaMemset(void *to, int value, size_t bytes) {
  COUNT;
  if (copies(cudaMemcpyDefault)) memset(to, value, bytes);
  return cudaSuccess;
}
EXPORT cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream) {
  return cudaMemset(to, value, bytes);
}
EXPORT cudaError_t cudaMemGetInfo(size_t *free, size_t *total) {
  extern long pretend_live_bytes(void);
  COUNT;
  *total = GPU_BYTES;
  *free = GPU_BYTES - pretend_live_bytes();
  return cudaSuccess;
}
EXPORT cudaError_t cudaMemPoolCreate(cudaMemPool_t *made, const struct cudaMemPoolProps *properties) {
  *made = (cudaMemPool_t)1;
  return cudaSuccess;
}
EXPORT cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr attribute, void *value) {
  *(long *)value = 0;
  return cudaSuccess;
}

/* ---------------------------------------------------------------- devices */

static __thread int current;

EXPORT cudaError_t cudaGetDevice(int *device) {
  *device = current;
  return cudaSuccess;
}
EXPORT cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= GPUS) return cudaErrorInvalidDevice;
  current = device;
  return cudaSuccess;
}
/* PRETEND_CUDA_DRIVER: the version of CUDA that the driver is for, 12040 for 12.4. */
static int driver_version(void) {
  const char *setting = getenv("PRETEND_CUDA_DRIVER");
  return setting == NULL ? 13000 : atoi(setting);
}
EXPORT cudaError_t cudaGetDeviceCount(int *count) {
  *count = GPUS;
  return driver_version() < 13000 ? cudaErrorInsufficientDriver : cudaSuccess;
}
EXPORT cudaError_t cudaDriverGetVersion(int *version) {
  *version = driver_version();
  return cudaSuccess;
}
EXPORT cudaError_t cudaRuntimeGetVersion(int *version) {
  *version = 13000;
  return cudaSuccess;
}
EXPORT const char *cudaGetErrorName(cudaError_t error) { return "pretend error"; }
EXPORT const char *cudaGetErrorString(cudaError_t error) { return "pretend error"; }

/* A data-centre GPU of compute capability 9.0. */
EXPORT cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
  switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
    case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
    case cudaDevAttrMultiProcessorCount: *value = 132; break;
    case cudaDevAttrMaxThreadsPerBlock: *value = 1024; break;
    case cudaDevAttrWarpSize: *value = 32; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = 49152; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = 232448; break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = 233472; break;
    case cudaDevAttrMaxThreadsPerMultiProcessor: *value = 2048; break;
    case cudaDevAttrMaxRegistersPerBlock: *value = 65536; break;
    case cudaDevAttrMaxBlockDimX: *value = 1024; break;
    case cudaDevAttrMaxGridDimX: *value = 2147483647; break;
    case cudaDevAttrL2CacheSize: *value = 50 << 20; break;
    default: *value = 1;
  }
  return cudaSuccess;
}
EXPORT cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *made, int device) {
  *made = (struct cudaDeviceProp){
      .name = "pretend GPU", .totalGlobalMem = GPU_BYTES, .sharedMemPerBlock = 49152, .regsPerBlock = 65536,
      .warpSize = 32, .maxThreadsPerBlock = 1024, .maxThreadsDim = {1024, 1024, 64},
      .maxGridSize = {2147483647, 65535, 65535}, .major = 9, .minor = 0, .multiProcessorCount = 132,
      .l2CacheSize = 50 << 20, .maxThreadsPerMultiProcessor = 2048, .sharedMemPerMultiprocessor = 233472,
      .regsPerMultiprocessor = 65536, .sharedMemPerBlockOptin = 232448, .concurrentKernels = 1,
      .unifiedAddressing = 1, .cooperativeLaunch = 1, .asyncEngineCount = 3, .maxBlocksPerMultiProcessor = 32};
  return cudaSuccess;
}
EXPORT cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *made, const void *address) {
  *made = (struct cudaPointerAttributes){
      .type = pretend_is_on_gpu(address) ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered,
      .devicePointer = (void *)address};
  return cudaSuccess;
}

/* ---------------------------------------------------------------- streams, events, graphs */

static cudaError_t make(void **made) {
  *made = malloc(8);
  return cudaSuccess;
}
EXPORT cudaError_t cudaEventCreate(cudaEvent_t *made) { return make((void **)made); }
EXPORT cudaError_t cudaEventCreateWithFlags(cudaEvent_t *made, unsigned flags) { return make((void **)made); }
EXPORT cudaError_t cudaStreamCreate(cudaStream_t *made) {
  COUNT;
  return make((void **)made);
}
EXPORT cudaError_t cudaStreamCreateWithFlags(cudaStream_t *made, unsigned flags) {
  COUNT;
  return make((void **)made);
}
EXPORT cudaError_t cudaGraphInstantiate(cudaGraphExec_t *made, cudaGraph_t graph, unsigned long long flags) {
  return make((void **)made);
}
EXPORT cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to) {
  *milliseconds = 1;
  return cudaSuccess;
}
EXPORT cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *data) {
  if (recording) pretend_count_call("recorded call of the host");
  function(data);
  return cudaSuccess;
}

/* ---------------------------------------------------------------- kernels: started, counted, never run */

static __thread struct { dim3 grid, block; size_t shared; cudaStream_t stream; } configuration;

EXPORT void **__cudaRegisterFatBinary(void *binary) { return calloc(2, sizeof(void *)); }
EXPORT unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, struct CUstream_st *stream) {
  configuration.grid = grid;
  configuration.block = block;
  configuration.shared = shared;
  configuration.stream = stream;
  return 0;
}
EXPORT cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream) {
  *grid = configuration.grid;
  *block = configuration.block;
  *shared = configuration.shared;
  *(cudaStream_t *)stream = configuration.stream;
  return cudaSuccess;
}
EXPORT cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *function) {
  *kernel = (cudaKernel_t)function;
  return cudaSuccess;
}

static cudaError_t launch(cudaStream_t stream) {
  pretend_count_launch("launch");
  pretend_count_stream(stream);
  return cudaSuccess;
}
EXPORT cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 g, dim3 b, void **a, size_t n, cudaStream_t s) {
  return launch(s);
}
EXPORT cudaError_t cudaLaunchKernel(const void *function, dim3 g, dim3 b, void **a, size_t n, cudaStream_t s) {
  return launch(s);
}
EXPORT cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *c, const void *function, void **arguments) {
  return launch(c->stream);
}
EXPORT cudaError_t cudaLaunchCooperativeKernel(const void *f, dim3 g, dim3 b, void **a, size_t n, cudaStream_t s) {
  return launch(s);
}
EXPORT cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *made, const void *function) {
  *made = (struct cudaFuncAttributes){.maxThreadsPerBlock = 1024, .binaryVersion = 90, .ptxVersion = 90};
  return cudaSuccess;
}
EXPORT cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, const void *function, int size,
                                                                          size_t shared, unsigned flags) {
  *blocks = 2;
  return cudaSuccess;
}
EXPORT cudaError_t cudaGetDriverEntryPointByVersion(const char *name, void **function, unsigned version,
                                                    unsigned long long flags,
                                                    enum cudaDriverEntryPointQueryResult *result) {
  *function = NULL;
  if (result != NULL) *result = cudaDriverEntryPointSymbolNotFound;
  return cudaSuccess;
}
EXPORT cudaError_t cudaLibraryLoadData(cudaLibrary_t *made, const void *code, enum cudaJitOption *options,
                                       void **values, unsigned count, enum cudaLibraryOption *more, void **moreValues,
                                       unsigned moreCount) {
  *made = (cudaLibrary_t)1;
  return cudaSuccess;
}
EXPORT cudaError_t cudaLibraryGetKernel(cudaKernel_t *made, cudaLibrary_t library, const char *name) {
  *made = (cudaKernel_t)1;
  return cudaSuccess;
}
