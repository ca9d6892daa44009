/* A pretend cuDNN: descriptors are empty, convolutions and reductions are counted. libcudnn.so.9. */
#include <stdlib.h>
#include <string.h>
#include "counters.h"
#include "pretend.h"

EXPORT size_t cudnnGetVersion(void) { return 91900; }
EXPORT const char *cudnnGetErrorString(int status) { return "pretend"; }
EXPORT void cudnnGetLastErrorString(char *text, size_t bytes) { strncpy(text, "pretend", bytes); }

CREATE(cudnnCreate)
DESTROY(cudnnDestroy)
CREATE(cudnnCreateActivationDescriptor)
DESTROY(cudnnDestroyActivationDescriptor)
CREATE(cudnnCreateConvolutionDescriptor)
DESTROY(cudnnDestroyConvolutionDescriptor)
CREATE(cudnnCreateDropoutDescriptor)
DESTROY(cudnnDestroyDropoutDescriptor)
CREATE(cudnnCreateFilterDescriptor)
DESTROY(cudnnDestroyFilterDescriptor)
CREATE(cudnnCreateLRNDescriptor)
DESTROY(cudnnDestroyLRNDescriptor)
CREATE(cudnnCreatePoolingDescriptor)
DESTROY(cudnnDestroyPoolingDescriptor)
CREATE(cudnnCreateReduceTensorDescriptor)
DESTROY(cudnnDestroyReduceTensorDescriptor)
CREATE(cudnnCreateRNNDataDescriptor)
DESTROY(cudnnDestroyRNNDataDescriptor)
CREATE(cudnnCreateRNNDescriptor)
DESTROY(cudnnDestroyRNNDescriptor)
CREATE(cudnnCreateTensorDescriptor)
DESTROY(cudnnDestroyTensorDescriptor)

/* Algorithm 0 without working memory: cudnnConvolutionFwdAlgoPerf_t has 56 bytes. */
static int chooseAlgorithm(int *found, void *result) {
  memset(result, 0, 56);
  *found = 1;
  return 0;
}
EXPORT int cudnnGetConvolutionForwardAlgorithm_v7(void *handle, void *x, void *w, void *convolution, void *y, int asked,
                                                  int *found, void *result) {
  return chooseAlgorithm(found, result);
}
EXPORT int cudnnFindConvolutionForwardAlgorithmEx(void *handle, void *x, const void *xData, void *w, const void *wData,
                                                  void *convolution, void *y, void *yData, int asked, int *found,
                                                  void *result) {
  return chooseAlgorithm(found, result);
}
EXPORT int cudnnGetConvolutionForwardWorkspaceSize(void *handle, void *x, void *w, void *convolution, void *y,
                                                   int algorithm, size_t *bytes) {
  *bytes = 0;
  return 0;
}
EXPORT int cudnnGetStream(void *handle, void **stream) {
  *stream = NULL;
  return 0;
}
static int noBytes(size_t *bytes) {
  *bytes = 0;
  return 0;
}
EXPORT int cudnnGetReductionWorkspaceSize(void *handle, void *reduction, void *from, void *to, size_t *bytes) {
  return noBytes(bytes);
}
EXPORT int cudnnGetReductionIndicesSize(void *handle, void *reduction, void *from, void *to, size_t *bytes) {
  return noBytes(bytes);
}
EXPORT int cudnnDropoutGetStatesSize(void *handle, size_t *bytes) { return noBytes(bytes); }

static int work(const char *name) {
  pretend_count_launch(name);
  return 0;
}
EXPORT int cudnnConvolutionForward() { return work("convolution"); }
EXPORT int cudnnConvolutionBiasActivationForward() { return work("convolution"); }
EXPORT int cudnnConvolutionBackwardData() { return work("convolution"); }
EXPORT int cudnnReduceTensor() { return work("reduction"); }
EXPORT int cudnnSoftmaxForward() { return work("softmax"); }
EXPORT int cudnnPoolingForward() { return work("pooling"); }
EXPORT int cudnnAddTensor() { return work("addition"); }

/* The interface of graphs: one plan, which fits and has no notes. */
enum { TYPE_INT64 = 3, TYPE_DESCRIPTOR = 15, TYPE_INT32 = 23 };

CREATE(pretend_backend)
EXPORT int cudnnBackendCreateDescriptor(int kind, void **made) { return pretend_backend(made); }
DESTROY(cudnnBackendDestroyDescriptor)
SUCCEED(cudnnBackendFinalize)
SUCCEED(cudnnBackendSetAttribute)
EXPORT int cudnnBackendGetAttribute(void *descriptor, int name, int type, long asked, long *found, void *values) {
  if (found != NULL) *found = type == TYPE_INT64 || type == TYPE_INT32 || type == TYPE_DESCRIPTOR;
  if (values == NULL || asked == 0) return 0;
  if (type == TYPE_INT64) *(long *)values = 0;
  if (type == TYPE_INT32) *(int *)values = 0;
  return 0;
}
EXPORT int cudnnBackendExecute() { return work("convolution"); }

SUCCEED(cudnnActivationForward)
SUCCEED(cudnnBatchNormalizationForwardInference)
SUCCEED(cudnnDeriveBNTensorDescriptor)
SUCCEED(cudnnSetActivationDescriptor)
SUCCEED(cudnnSetConvolutionGroupCount)
SUCCEED(cudnnSetConvolutionMathType)
SUCCEED(cudnnSetConvolutionNdDescriptor)
SUCCEED(cudnnSetDropoutDescriptor)
SUCCEED(cudnnSetFilterNdDescriptor)
SUCCEED(cudnnSetLRNDescriptor)
SUCCEED(cudnnSetPoolingNdDescriptor)
SUCCEED(cudnnSetReduceTensorDescriptor)
SUCCEED(cudnnSetStream)
SUCCEED(cudnnSetTensorNdDescriptor)
