import { byteLengthOf, type SafetensorsDType } from './dtypes.js';
import { parseHeader, parseHeaderLength, type TensorRecord } from './header.js';
import { encodeHeader, inFileOrder, wrongSize } from './writer.js';

/** A tensor whose bytes are in memory: little-endian, row-major. */
export interface TensorBytes {
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export interface DecodedSafetensors {
  readonly metadata: Readonly<Record<string, string>>;
  /** Bytes are views into what was decoded. */
  readonly tensors: ReadonlyMap<string, TensorBytes>;
}

/**
 * A whole safetensors file in memory; the same bytes that {@link writeSafetensors} would write.
 * @throws SpatialError SHAPE_MISMATCH when a tensor has another number of bytes than its shape says.
 */
export const encodeSafetensors = (
  tensors: ReadonlyMap<string, TensorBytes>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array => {
  const ordered = inFileOrder(tensors);
  for (const [name, tensor] of ordered)
    if (tensor.bytes.byteLength !== byteLengthOf(tensor.dtype, tensor.shape))
      throw wrongSize(name, tensor, tensor.bytes.byteLength);
  const parts = [encodeHeader(ordered, metadata), ...ordered.map(([, { bytes }]) => bytes)];
  const file = new Uint8Array(parts.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let position = 0;
  for (const part of parts) {
    file.set(part, position);
    position += part.byteLength;
  }
  return file;
};

/**
 * Parses a safetensors file that is in memory.
 * @param where what the bytes are, for messages.
 * @throws SpatialError FILE_INVALID | DTYPE_UNSUPPORTED.
 */
export const decodeSafetensors = (bytes: Uint8Array, where: string): DecodedSafetensors => {
  const length = parseHeaderLength(bytes, bytes.byteLength, where);
  const header = parseHeader(bytes.subarray(8, 8 + length), bytes.byteLength, where);
  const tensors = new Map([...header.tensors].map(([name, at]) => [name, slice(bytes, at)]));
  return { metadata: header.metadata, tensors };
};

const slice = (bytes: Uint8Array, at: TensorRecord): TensorBytes => ({
  dtype: at.dtype,
  shape: at.shape,
  bytes: bytes.subarray(at.byteOffset, at.byteOffset + at.byteLength),
});
