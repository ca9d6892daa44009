import { SpatialError } from '../errors.js';

/** Element types that are read and written. */
export const SAFETENSORS_DTYPES = [
  'F64',
  'F32',
  'F16',
  'BF16',
  'I64',
  'I32',
  'I16',
  'I8',
  'U8',
  'BOOL',
] as const;

export type SafetensorsDType = (typeof SAFETENSORS_DTYPES)[number];

const ELEMENT_BYTES: Readonly<Record<SafetensorsDType, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
};

export const isSafetensorsDType = (value: unknown): value is SafetensorsDType =>
  typeof value === 'string' && (SAFETENSORS_DTYPES as readonly string[]).includes(value);

/** Bytes of one element. */
export const bytesPerElement = (dtype: SafetensorsDType): number => ELEMENT_BYTES[dtype];

/** Bytes that a tensor of this shape takes in a file. */
export const byteLengthOf = (dtype: SafetensorsDType, shape: readonly number[]): number =>
  shape.reduce((product, size) => product * size, ELEMENT_BYTES[dtype]);

/** Exact value of IEEE 754 binary16 bits. */
const float16ToNumber = (bits: number): number => {
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
};

let float16Table: Float32Array | undefined;

const makeFloat16Table = (): Float32Array =>
  Float32Array.from({ length: 65536 }, (_, bits) => float16ToNumber(bits));

/** Widens binary16 bits exactly. */
export const decodeFloat16 = (bits: Uint16Array): Float32Array => {
  float16Table ??= makeFloat16Table();
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = float16Table[bits[i]!]!;
  return values;
};

/** Widens bfloat16 bits exactly: they are the upper half of a float32. */
export const decodeBFloat16 = (bits: Uint16Array): Float32Array => {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return new Float32Array(words.buffer);
};

/**
 * Widens values of 16 bits that lie in the second half of the memory of their result, exactly: from the front, no write comes
 * before the read of what lay there. F32 is as it is to be.
 */
export const widenInPlace = (dtype: 'F32' | 'F16' | 'BF16', target: Float32Array): void => {
  if (dtype === 'F32') return;
  const { buffer, byteOffset, length } = target;
  const bits = new Uint16Array(buffer, byteOffset + 2 * length, length);
  if (dtype === 'BF16') {
    const words = new Uint32Array(buffer, byteOffset, length);
    for (let i = 0; i < length; i++) words[i] = bits[i]! << 16;
    return;
  }
  float16Table ??= makeFloat16Table();
  for (let i = 0; i < length; i++) target[i] = float16Table[bits[i]!]!;
};

/** Rounds to bfloat16, ties to even; overflow becomes infinity, NaN stays NaN. */
export const encodeBFloat16 = (values: Float32Array): Uint16Array => {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const isNotNumber = (word & 0x7fffffff) > 0x7f800000;
    bits[i] = isNotNumber ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return bits;
};

const roundShift = (value: number, shift: number): number => {
  const half = 2 ** (shift - 1);
  const rest = value & (2 ** shift - 1);
  const whole = value >>> shift;
  return rest > half || (rest === half && (whole & 1) === 1) ? whole + 1 : whole;
};

/** binary16 bits of a float32 given by its bits, ties to even. */
const roundToFloat16 = (word: number): number => {
  const sign = (word >>> 16) & 0x8000;
  const exponent = ((word >>> 23) & 0xff) - 127;
  const fraction = word & 0x7fffff;
  if (exponent === 128) return sign | (fraction === 0 ? 0x7c00 : 0x7e00 | (fraction >>> 13));
  if (exponent > 15) return sign | 0x7c00;
  // A carry out of the fraction runs into the exponent, which is the rounding that IEEE 754 asks for.
  if (exponent >= -14) return sign | (((exponent + 15) << 10) + roundShift(fraction, 13));
  if (exponent < -25) return sign;
  return sign | roundShift(fraction | 0x800000, -exponent - 1);
};

/** Sizes of 2⁻¹⁴ and of 2¹⁶: between them lie binary16's normal numbers, and what rounds to infinity. */
const NORMAL_FLOAT16 = 0x38800000;
const BEYOND_FLOAT16 = 0x47800000;

const isNormalFloat16 = (size: number): boolean => size >= NORMAL_FLOAT16 && size < BEYOND_FLOAT16;

/** Moves the exponent's bias from 127 to 15, and rounds. @param word float32 of such a size. */
const normalToFloat16 = (word: number): number => {
  const size = word & 0x7fffffff;
  return ((word >> 16) & 0x8000) | ((size - 0x38000000 + 0xfff + ((size >> 13) & 1)) >> 13);
};

/** Rounds to binary16, ties to even; overflow becomes infinity, NaN stays NaN. */
export const encodeFloat16 = (values: Float32Array): Uint16Array => {
  // Signed: the engine keeps these in integer registers, which it does not do with unsigned words.
  const words = new Int32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(values.length);
  // Two results are one write: little-endian, as the files are.
  const pairs = new Int32Array(bits.buffer, 0, words.length >> 1);
  for (let i = 0; i < pairs.length; i++) {
    const [low, high] = [words[2 * i]!, words[2 * i + 1]!];
    const areNormal = isNormalFloat16(low & 0x7fffffff) && isNormalFloat16(high & 0x7fffffff);
    pairs[i] = areNormal
      ? normalToFloat16(low) | (normalToFloat16(high) << 16)
      : roundToFloat16(low) | (roundToFloat16(high) << 16);
  }
  if (words.length % 2 === 1) bits[words.length - 1] = roundToFloat16(words[words.length - 1]!);
  return bits;
};

type RawView =
  | Float64Array
  | Float32Array
  | Uint16Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array;

const VIEWS: Readonly<
  Record<SafetensorsDType, new (buffer: ArrayBufferLike, offset: number, length: number) => RawView>
> = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
};

/** Typed view of little-endian bytes; copies only when the bytes are not aligned. */
export const viewAs = (dtype: SafetensorsDType, bytes: Uint8Array): RawView => {
  const size = ELEMENT_BYTES[dtype];
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return new VIEWS[dtype](aligned.buffer, aligned.byteOffset, aligned.byteLength / size);
};

/**
 * Values as float32. F16 and BF16 widen exactly; F64 and large integers round to the nearest float32.
 * @param bytes little-endian elements of `dtype`.
 */
export const decodeFloat32 = (dtype: SafetensorsDType, bytes: Uint8Array): Float32Array => {
  const view = viewAs(dtype, bytes);
  if (dtype === 'F16') return decodeFloat16(view as Uint16Array);
  if (dtype === 'BF16') return decodeBFloat16(view as Uint16Array);
  if (view instanceof Float32Array) return view;
  const values = new Float32Array(view.length);
  for (let i = 0; i < view.length; i++) values[i] = Number(view[i]);
  return values;
};

const integerRange = (tensor: string): SpatialError =>
  new SpatialError({
    code: 'DTYPE_UNSUPPORTED',
    message: `tensor "${tensor}": expected integers within int32, found a larger one`,
    hint: 'Read the raw bytes instead, or store smaller integers.',
  });

/**
 * Integer elements as int32.
 * @throws SpatialError DTYPE_UNSUPPORTED for a floating-point dtype or an I64 value outside int32.
 */
export const decodeInt32 = (
  dtype: SafetensorsDType,
  bytes: Uint8Array,
  tensor: string,
): Int32Array => {
  if (dtype === 'F64' || dtype === 'F32' || dtype === 'F16' || dtype === 'BF16')
    throw new SpatialError({
      code: 'DTYPE_UNSUPPORTED',
      message: `tensor "${tensor}": expected an integer dtype, found ${dtype}`,
      hint: 'Read this tensor as float32.',
    });
  const view = viewAs(dtype, bytes);
  if (view instanceof Int32Array) return view;
  const values = new Int32Array(view.length);
  for (let i = 0; i < view.length; i++) {
    const value = Number(view[i]);
    if (value !== (value | 0)) throw integerRange(tensor);
    values[i] = value;
  }
  return values;
};

const bytesOf = (view: ArrayBufferView): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

const INTEGER_LIMITS: Readonly<Partial<Record<SafetensorsDType, readonly [number, number]>>> = {
  I32: [-(2 ** 31), 2 ** 31 - 1],
  I16: [-32768, 32767],
  I8: [-128, 127],
  U8: [0, 255],
  BOOL: [0, 1],
};

const encodeIntegers = (dtype: SafetensorsDType, values: Float32Array): Uint8Array => {
  const [low, high] = INTEGER_LIMITS[dtype] ?? [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];
  const bytes = new Uint8Array(values.length * ELEMENT_BYTES[dtype]);
  const view = viewAs(dtype, bytes);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!Number.isInteger(value) || value < low || value > high)
      throw new SpatialError({
        code: 'DTYPE_UNSUPPORTED',
        message: `cannot store ${value} (index ${i}) as ${dtype}: expected an integer in [${low}, ${high}]`,
        hint: 'Choose a floating-point dtype for these values.',
      });
    if (view instanceof BigInt64Array) view[i] = BigInt(value);
    else view[i] = value;
  }
  return bytes;
};

/**
 * Little-endian bytes of float32 values in another dtype: round to nearest even for F16 and BF16, exact otherwise.
 * @throws SpatialError DTYPE_UNSUPPORTED when an integer dtype cannot hold a value.
 */
export const encodeFloat32 = (dtype: SafetensorsDType, values: Float32Array): Uint8Array => {
  switch (dtype) {
    case 'F32':
      return bytesOf(values);
    case 'F64':
      return bytesOf(Float64Array.from(values));
    case 'F16':
      return bytesOf(encodeFloat16(values));
    case 'BF16':
      return bytesOf(encodeBFloat16(values));
    default:
      return encodeIntegers(dtype, values);
  }
};
