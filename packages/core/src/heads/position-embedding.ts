import { type Tensor, tf } from '@spatialsv/engine';

const BASE = 100;

/** The embedding is their sum, broadcast: what depends on the column fills the first half of the channels. */
interface PositionTables {
  /** (w, C), second half of the channels 0. */
  readonly columns: Float32Array;
  /** (h, C), first half of the channels 0. */
  readonly rows: Float32Array;
}

/**
 * Sinusoidal embedding of image position, as VGGT adds it to its maps. For image aspect a = W/H, x runs evenly over
 * ±a/√(a²+1)·(w−1)/w and y over ±1/√(a²+1)·(h−1)/h; the first half of the channels is [sin(xω), cos(xω)], the second
 * the same of y, with ω_k = 100^(−k/(C/4)).
 * @param size h rows, w columns of the map. @param channels C, a multiple of 4. @param aspect width / height of the image.
 * Source: VGGT (arXiv:2503.11651), vggt/heads/utils.py.
 */
export function positionTables(
  size: { readonly h: number; readonly w: number },
  channels: number,
  aspect: number,
): PositionTables {
  const diagonal = Math.sqrt(aspect * aspect + 1);
  return {
    columns: encodeAxis(size.w, channels, 0, aspect / diagonal),
    rows: encodeAxis(size.h, channels, channels / 2, 1 / diagonal),
  };
}

/** (count, C): the codes of `count` cells that fill ±span, in the half of the channels that starts at `first`. */
function encodeAxis(count: number, channels: number, first: number, span: number): Float32Array {
  const quarter = channels / 4;
  const table = new Float32Array(count * channels);
  for (let cell = 0; cell < count; cell++) {
    const position = (span * (2 * cell - (count - 1))) / count;
    const offset = cell * channels + first;
    for (let k = 0; k < quarter; k++) {
      const angle = position * BASE ** (-k / quarter);
      table[offset + k] = Math.sin(angle);
      table[offset + quarter + k] = Math.cos(angle);
    }
  }
  return table;
}

/** 0.1 · columns (1, 1, w, C) and 0.1 · rows (1, h, 1, C): their sum, broadcast, is the embedding. */
function scaledTables(
  size: { readonly h: number; readonly w: number },
  channels: number,
  aspect: number,
): readonly [Tensor, Tensor] {
  const { columns, rows } = positionTables(size, channels, aspect);
  const scaled = (table: Float32Array) => table.map((value) => 0.1 * value);
  return [
    tf.tensor4d(scaled(columns), [1, 1, size.w, channels]),
    tf.tensor4d(scaled(rows), [1, size.h, 1, channels]),
  ];
}

/** 0.1 · embedding of a whole map. @returns (1, h, w, C). @param size, channels, aspect as of {@link positionTables}. */
export function positionEmbedding(
  size: { readonly h: number; readonly w: number },
  channels: number,
  aspect: number,
): Tensor {
  const [columns, rows] = scaledTables(size, channels, aspect);
  return tf.add(columns, rows);
}

/** Values up to which the embedding of a map is one constant. */
const SMALL_MAP = 2 ** 16;

/**
 * x (V, h, w, C) + 0.1 · embedding. Columns and rows are added one after the other: the constants are a row and a column
 * instead of a whole map, which at full resolution is as large as x.
 */
export function addPositionEmbedding(x: Tensor, aspect: number): Tensor {
  const [, h, w, channels] = x.shape as [number, number, number, number];
  if (h * w * channels <= SMALL_MAP) {
    const { columns, rows } = positionTables({ h, w }, channels, aspect);
    const whole = Float32Array.from({ length: h * w * channels }, (_, i) => {
      const [pixel, channel] = [Math.floor(i / channels), i % channels];
      const column = columns[(pixel % w) * channels + channel]!;
      return 0.1 * (column + rows[Math.floor(pixel / w) * channels + channel]!);
    });
    return tf.add(x, tf.tensor4d(whole, [1, h, w, channels]));
  }
  const [columns, rows] = scaledTables({ h, w }, channels, aspect);
  return tf.add(tf.add(x, columns), rows);
}
