import { type Tensor, tf } from '@spatialsv/engine';

const BASE = 100;

/**
 * Sinusoidal embedding of image position, as VGGT adds it to its maps. For image aspect a = W/H, x runs evenly over
 * ±a/√(a²+1)·(w−1)/w and y over ±1/√(a²+1)·(h−1)/h; the first half of the channels is [sin(xω), cos(xω)], the second
 * the same of y, with ω_k = 100^(−k/(C/4)).
 * @param size h rows, w columns of the map. @param channels C, a multiple of 4. @param aspect width / height of the image.
 * @returns (h, w, C) row-major.
 * Source: VGGT (arXiv:2503.11651), vggt/heads/utils.py.
 */
export function positionEmbedding(
  size: { readonly h: number; readonly w: number },
  channels: number,
  aspect: number,
): Float32Array {
  const diagonal = Math.sqrt(aspect * aspect + 1);
  const quarter = channels / 4;
  const result = new Float32Array(size.h * size.w * channels);
  for (let row = 0; row < size.h; row++) {
    for (let column = 0; column < size.w; column++) {
      const offset = (row * size.w + column) * channels;
      encode(result, offset, quarter, coordinate(column, size.w, aspect / diagonal));
      encode(result, offset + 2 * quarter, quarter, coordinate(row, size.h, 1 / diagonal));
    }
  }
  return result;
}

/** Centre of cell `index` of `count` cells that fill ±span. */
const coordinate = (index: number, count: number, span: number): number =>
  (span * (2 * index - (count - 1))) / count;

function encode(result: Float32Array, offset: number, quarter: number, position: number): void {
  for (let k = 0; k < quarter; k++) {
    const angle = position * BASE ** (-k / quarter);
    result[offset + k] = Math.sin(angle);
    result[offset + quarter + k] = Math.cos(angle);
  }
}

/** x (V, h, w, C) + 0.1 · embedding. */
export function addPositionEmbedding(x: Tensor, aspect: number): Tensor {
  const [, h, w, channels] = x.shape as [number, number, number, number];
  const scaled = positionEmbedding({ h, w }, channels, aspect).map((value) => 0.1 * value);
  return tf.add(x, tf.tensor4d(scaled, [1, h, w, channels]));
}
