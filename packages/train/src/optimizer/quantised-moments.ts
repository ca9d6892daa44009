import { type Tensor, tf } from '@spatialsv/engine';

/** Values with a scale of their own. */
export const BLOCK = 256;

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
/** Times it, the smallest share that counts is above 1. */
const LARGE = 2 ** 100;

/** Moments of some blocks as codes, whole numbers of 0 to 255, (N), and the largest magnitude of each block, (N / 256). */
export interface Codes {
  readonly codes: Tensor;
  readonly scales: Tensor;
}

/*
 * Block-wise quantisation with levels that lie as fourth powers: x ≈ S·sign(q)·(|q|/n)⁴ with S the largest magnitude of a block. The
 * levels are dense near 0 as those of dynamic 8-bit types, over more than eight decades, and follow from two square roots instead of
 * a table.
 * Source of block-wise 8-bit moments: Dettmers and others, arXiv:2110.02861; the levels are our own.
 */

/** First moments (N) of {@link Codes}. */
export function decodeSigned({ codes, scales }: Codes): Tensor {
  const r = tf.mul(tf.sub(codes, ZERO), 1 / SIGNED_STEPS);
  return timesScale(tf.mul(tf.mul(r, tf.abs(r)), tf.square(r)), scales);
}

/** First moments (N) to {@link Codes}: q = round(127·|x/S|^¼)·sign(x). */
export function encodeSigned(values: Tensor): Codes {
  const { shares, scales } = sharesOf(values);
  const steps = tf.mul(fourthRoot(tf.abs(shares)), SIGNED_STEPS);
  const q = tf.mul(tf.round(steps), signOf(shares, -1));
  return { codes: tf.add(q, ZERO), scales };
}

/** Second moments (N) of {@link Codes}. */
export function decodeUnsigned({ codes, scales }: Codes): Tensor {
  return timesScale(tf.square(tf.square(tf.mul(codes, 1 / UNSIGNED_STEPS))), scales);
}

/**
 * Second moments (N) to {@link Codes}: q = round(255·(x/S)^¼), but never 0 for a value above 0, by whose root a first moment is
 * divided.
 */
export function encodeUnsigned(values: Tensor): Codes {
  const { shares, scales } = sharesOf(values);
  const steps = tf.round(tf.mul(fourthRoot(shares), UNSIGNED_STEPS));
  return { codes: tf.maximum(steps, signOf(shares, 0)), scales };
}

const fourthRoot = (values: Tensor): Tensor => tf.sqrt(tf.sqrt(values));

/**
 * Sign of shares, of those above 1e-30. The operation for it takes as long as five others.
 * @param smallest of the signs.
 */
const signOf = (shares: Tensor, smallest: -1 | 0): Tensor =>
  tf.clipByValue(tf.mul(shares, LARGE), smallest, 1);

/** x/S, and S of every block, 0 for blocks that are stored as zeros. */
function sharesOf(values: Tensor): { readonly shares: Tensor; readonly scales: Tensor } {
  const size = values.shape[0]!;
  const blocks = tf.reshape(values, [size / BLOCK, BLOCK]);
  const largest = tf.max(tf.abs(blocks), 1, true);
  // 1 or 0, in operations on a number for each block.
  const isKept = tf.ceil(tf.clipByValue(tf.sub(largest, SMALLEST), 0, 1));
  const factors = tf.div(isKept, tf.maximum(largest, SMALLEST));
  // An elementwise operation may be written over the scale that it replaces; a maximum may not.
  const scales = tf.mul(
    tf.reshape(largest, [size / BLOCK]),
    tf.reshape(isKept, [size / BLOCK]),
  ) as Tensor;
  return { shares: tf.reshape(tf.mul(blocks, factors), [size]), scales };
}

function timesScale(values: Tensor, scales: Tensor): Tensor {
  const size = values.shape[0]!;
  const blocks = tf.reshape(values, [size / BLOCK, BLOCK]);
  return tf.reshape(tf.mul(blocks, tf.reshape(scales, [size / BLOCK, 1])), [size]);
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
