import { type Tensor, tf, UPDATE_BLOCK } from '@spatialsv/engine';

/** Values with a scale of their own. */
export const BLOCK = UPDATE_BLOCK;

/** Steps on either side of 0 of a signed code, and of an unsigned one. */
const SIGNED_STEPS = 127;
const UNSIGNED_STEPS = 255;
/** What a signed code of 0 is stored as. */
const ZERO = 128;
/**
 * Blocks of which no value is larger are stored as zeros. Moments that decay would else become subnormal numbers, which neither
 * divide exactly nor fast; beside ε, values of 1e-28 and their roots change no update.
 */
const SMALLEST = Math.fround(1e-28);
/** Times it, whatever is larger than a subnormal number is above 1. */
const LARGE = 2 ** 126;

/** Moments of some blocks as codes, numbers of 0 to below 256, of which the whole part counts, (N), and the largest magnitude of each block, (N / 256). */
export interface Codes {
  readonly codes: Tensor;
  readonly scales: Tensor;
}

/*
 * Block-wise quantisation with levels that lie as fourth powers: x ≈ S·sign(q)·(|q|/n)⁴ with S the largest magnitude of a block. The
 * levels are dense near 0 as those of dynamic 8-bit types, over more than eight decades, and follow from two square roots instead of
 * a table. Scales are taken into the fourth powers and roots as their roots, one number for each block, and a code is the whole part that is
 * left when ½ is added: operations on every value are what the update takes.
 * Source of block-wise 8-bit moments: Dettmers and others, arXiv:2110.02861; the levels are our own.
 */

/** First moments (N) of {@link Codes}. */
export function decodeSigned({ codes, scales }: Codes): Tensor {
  const steps = tf.sub(codes, ZERO);
  const r = timesOfBlock(steps, tf.mul(fourthRoot(scales), 1 / SIGNED_STEPS));
  return tf.mul(tf.mul(r, tf.abs(r)), tf.square(r));
}

/** First moments (N) to {@link Codes}: q = round(127·|x/S|^¼)·sign(x). The codes have a fraction, which goes. */
export function encodeSigned(values: Tensor): Codes {
  const magnitudes = tf.abs(values);
  const { perRoot, scales } = scalesOf(magnitudes);
  const roots = tf.mul(fourthRoot(magnitudes), signOf(values, -1));
  const steps = timesOfBlock(roots, tf.mul(perRoot, SIGNED_STEPS));
  return { codes: tf.add(steps, ZERO + 0.5), scales };
}

/** Second moments (N) of {@link Codes}. */
export function decodeUnsigned({ codes, scales }: Codes): Tensor {
  const r = timesOfBlock(codes, tf.mul(fourthRoot(scales), 1 / UNSIGNED_STEPS));
  return tf.square(tf.square(r));
}

/**
 * Second moments (N) to {@link Codes}: q = round(255·(x/S)^¼), but never 0 for a value above 0, by whose root a first moment is
 * divided. The codes have a fraction, which goes.
 */
export function encodeUnsigned(values: Tensor): Codes {
  const { perRoot, scales } = scalesOf(values);
  const steps = timesOfBlock(fourthRoot(values), tf.mul(perRoot, UNSIGNED_STEPS));
  return { codes: tf.maximum(tf.add(steps, 0.5), signOf(steps, 0)), scales };
}

const fourthRoot = (values: Tensor): Tensor => tf.sqrt(tf.sqrt(values));

/**
 * Sign of values. The operation for it takes as long as five others.
 * @param smallest of the signs.
 */
const signOf = (values: Tensor, smallest: -1 | 0): Tensor =>
  tf.clipByValue(tf.mul(values, LARGE), smallest, 1);

/** S of every block of magnitudes, and S^-¼; both 0 for blocks that are stored as zeros. */
function scalesOf(magnitudes: Tensor): { readonly perRoot: Tensor; readonly scales: Tensor } {
  const blocks = tf.reshape(magnitudes, [magnitudes.shape[0]! / BLOCK, BLOCK]);
  const largest = tf.max(blocks, 1);
  // 1 or 0, in operations on a number for each block.
  const isKept = tf.ceil(tf.clipByValue(tf.sub(largest, SMALLEST), 0, 1));
  // An elementwise operation may be written over the scale that it replaces; a maximum may not.
  const scales = tf.mul(largest, isKept) as Tensor;
  return { perRoot: tf.div(isKept, fourthRoot(tf.maximum(largest, SMALLEST))), scales };
}

/** Every value times the number of its block. */
function timesOfBlock(values: Tensor, numbers: Tensor): Tensor {
  const size = values.shape[0]!;
  const blocks = tf.reshape(values, [size / BLOCK, BLOCK]);
  return tf.reshape(tf.mul(blocks, tf.reshape(numbers, [size / BLOCK, 1])), [size]);
}

/** What is stored of a moment: a byte for each value, a number for each block. */
export interface StoredCodes {
  readonly codes: Uint8Array;
  readonly scales: Float32Array;
}

/** Codes of zeros. What lies between tensors keeps them. @param length a multiple of {@link BLOCK}. */
export const zeroCodes = (length: number, isSigned: boolean): StoredCodes => ({
  codes: new Uint8Array(length).fill(isSigned ? ZERO : 0),
  scales: new Float32Array(length / BLOCK),
});

/** Values of blocks that lie one after another. @param isSigned first moments. */
export function decodeMoments({ codes, scales }: StoredCodes, isSigned: boolean): Float32Array {
  return Float32Array.from(codes, (code, index) => {
    const r = isSigned ? (code - ZERO) / SIGNED_STEPS : code / UNSIGNED_STEPS;
    return scales[Math.floor(index / BLOCK)]! * r * Math.abs(r) ** 3;
  });
}

/** {@link decodeMoments} the other way round, into `stored`: codes that were decoded come back as they were. */
export function encodeMoments(
  values: Float32Array,
  { codes, scales }: StoredCodes,
  isSigned: boolean,
): void {
  for (let start = 0; start < values.length; start += BLOCK) {
    const block = values.subarray(start, start + BLOCK);
    const found = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const largest = found > SMALLEST ? found : 0;
    scales[start / BLOCK] = largest;
    for (const [offset, value] of block.entries()) {
      const root = largest === 0 ? 0 : (Math.abs(value) / largest) ** 0.25;
      const q = isSigned
        ? ZERO + Math.sign(value) * Math.round(SIGNED_STEPS * root)
        : Math.max(Math.sign(value), Math.round(UNSIGNED_STEPS * root));
      codes[start + offset] = q;
    }
  }
}
