export { gelu, geluTanh, quickGelu, silu } from './activations.js';
export { attention } from './attention.js';
export { type ConvolutionOptions, convolution } from './convolution.js';
export { crossEntropySum } from './cross-entropy.js';
export { inFloat32 } from './in-float32.js';
export { linear } from './linear.js';
export { layerNorm, rmsNorm } from './norm.js';
export { resizeBicubic } from './resize-bicubic.js';
export { rotary } from './rotary.js';
