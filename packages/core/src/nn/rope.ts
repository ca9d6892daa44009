import { type Tensor, tf } from '@spatialsv/engine';
import { SpatialError } from '../errors.js';
import type { RopeConfig } from './decoder-config.js';

/**
 * invᵢ = θ^(−2i/hd), i = 0 … hd/2−1, rounded to float32 after each step as float32 implementations do.
 * @returns (hd/2) float32.
 */
export function inverseFrequencies(theta: number, headDim: number): Float32Array {
  const inverse = new Float32Array(headDim / 2);
  for (let i = 0; i < inverse.length; i++) {
    inverse[i] = 1 / Math.fround(theta ** Math.fround((2 * i) / headDim));
  }
  return inverse;
}

export interface RotaryTables {
  /** (T, hd/2) float32. */
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/**
 * Rotary tables of a sequence, for {@link ops.rotary}. With `sections` the frequencies are shared out, in contiguous
 * runs, among the rows of `positions` (M-RoPE); equal rows give plain rotary positions.
 * @param positions (R, T) int32; R = number of sections, or 1.
 * @throws SpatialError CONFIG_INVALID when sections do not fill hd/2, SHAPE_MISMATCH when R does not fit.
 */
export function rotaryTables(rope: RopeConfig, headDim: number, positions: Tensor): RotaryTables {
  const sections = rope.sections ?? [headDim / 2];
  checkSections(sections, headDim, positions);
  const factor = rope.scaling?.kind === 'linear' ? rope.scaling.factor : 1;
  const inverse = inverseFrequencies(rope.theta, headDim).map((value) => value / factor);
  const rows = tf.cast(positions, 'float32');
  const tokens = positions.shape[1]!;
  let start = 0;
  const angles = sections.map((size, axis) => {
    const row = tf.slice(rows, [axis, 0], [1, tokens]);
    const part = tf.tensor(inverse.slice(start, start + size), [1, size]);
    start += size;
    return tf.mul(tf.reshape(row, [tokens, 1]), part); // (T, size)
  });
  const angle = angles.length === 1 ? angles[0]! : tf.concat(angles, 1); // (T, hd/2)
  return { cos: tf.cos(angle), sin: tf.sin(angle) };
}

function checkSections(sections: readonly number[], headDim: number, positions: Tensor): void {
  const covered = sections.reduce((sum, size) => sum + size, 0);
  if (covered !== headDim / 2) {
    throw new SpatialError({
      code: 'CONFIG_INVALID',
      message: `rope sections [${sections.join(', ')}]: expected a sum of ${headDim / 2} (half the head dimension), found ${covered}`,
      hint: 'Correct mrope_section or head_dim in config.json.',
    });
  }
  if (positions.rank !== 2 || positions.shape[0] !== sections.length) {
    throw new SpatialError({
      code: 'SHAPE_MISMATCH',
      message: `positions: expected (${sections.length}, T), found (${positions.shape.join(', ')})`,
      hint: 'Pass one row of positions per rope section.',
    });
  }
}
