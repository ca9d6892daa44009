export { type ImageHeader, readImageHeader } from './image-header.js';
export { decodeImage, readImage, readImageBytes } from './read-image.js';
export { resizeBicubic } from './resize-bicubic.js';
export { resizeArea, resizeCubic } from './resize-opencv.js';
export { encodePng, type PngLayout, writePng } from './write-png.js';
