/* A pretend cuBLAS: products are counted, nothing is multiplied. libcublas.so.13. */
#include <stdlib.h>
#include "counters.h"
#include "pretend.h"

enum { TF32_ALLOWED = 3 };

static int mathMode;

CREATE(cublasCreate_v2)
DESTROY(cublasDestroy_v2)
EXPORT int cublasGetMathMode(void *handle, int *mode) {
  *mode = mathMode;
  return 0;
}
EXPORT int cublasSetMathMode(void *handle, int mode) {
  mathMode = mode;
  return 0;
}
EXPORT const char *cublasGetStatusName(int status) { return "pretend"; }
EXPORT const char *cublasGetStatusString(int status) { return "pretend"; }

/* A product by its types: 0 float32, 2 float16, 14 bfloat16. */
static int product(int type) {
  pretend_count_launch("product");
  if (type == 0 && mathMode == TF32_ALLOWED) pretend_count_call("product tf32");
  if (type == 14) pretend_count_call("product bfloat16");
  if (type == 2) pretend_count_call("product float16");
  return 0;
}
EXPORT int cublasGemmEx(void *handle, int transA, int transB, int m, int n, int k, const void *alpha, const void *a,
                        int type) {
  return product(type);
}
EXPORT int cublasGemmStridedBatchedEx(void *handle, int transA, int transB, int m, int n, int k, const void *alpha,
                                      const void *a, int type) {
  return product(type);
}
EXPORT int cublasGemmBatchedEx(void *handle, int transA, int transB, int m, int n, int k, const void *alpha,
                               const void *a, int type) {
  return product(type);
}
EXPORT int cublasSgemm_v2() { return product(0); }
EXPORT int cublasSgemmBatched() { return product(0); }
EXPORT int cublasSgemmStridedBatched() { return product(0); }

SUCCEED(cublasDcopy_v2)
SUCCEED(cublasDgeam)
SUCCEED(cublasDgemmBatched)
SUCCEED(cublasDgemmStridedBatched)
SUCCEED(cublasDgemm_v2)
SUCCEED(cublasDgetrfBatched)
SUCCEED(cublasDgetriBatched)
SUCCEED(cublasScopy_v2)
SUCCEED(cublasSetStream_v2)
SUCCEED(cublasSgeam)
SUCCEED(cublasSgetrfBatched)
SUCCEED(cublasSgetriBatched)
SUCCEED(cublasSscal_v2)
