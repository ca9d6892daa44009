/* A pretend driver. libcuda.so.1. */
#include "pretend.h"

EXPORT int cuTensorMapEncodeTiled() { return 999; /* CUDA_ERROR_UNKNOWN */ }
