import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { decodeFloat32, decodeInt32, viewAs } from '../safetensors/dtypes.js';
import { openSafetensors, type SafetensorsReader } from '../safetensors/reader.js';

/** Vectors that a reference implementation made, and how. */
export interface Golden<Info = Readonly<Record<string, unknown>>> {
  /** Content of `case.json`: provenance, configuration, tolerance and why. */
  readonly info: Info;
  readonly names: readonly string[];
  /** @throws SpatialError WEIGHT_MISSING. */
  shape(name: string): readonly number[];
  /** Any dtype as float32. */
  float32(name: string): Float32Array;
  /** F64 at full precision, anything else widened. */
  float64(name: string): Float64Array;
  /** Integer dtypes. */
  int32(name: string): Int32Array;
}

const readAll = async (reader: SafetensorsReader): Promise<ReadonlyMap<string, Uint8Array>> =>
  new Map(
    await Promise.all(
      reader.names.map(async (name) => [name, await reader.readRaw(name)] as const),
    ),
  );

/**
 * Reads a golden case: `case.json`, of which the caller says what is in it, and `vectors.safetensors`.
 * @throws SpatialError FILE_MISSING | FILE_INVALID.
 */
export const readGolden = async <Info = Readonly<Record<string, unknown>>>(
  folder: string,
): Promise<Golden<Info>> => {
  const info = JSON.parse(await readFile(path.join(folder, 'case.json'), 'utf8')) as Info;
  const reader = await openSafetensors(path.join(folder, 'vectors.safetensors'));
  const bytes = await readAll(reader);
  const float32 = (name: string): Float32Array =>
    decodeFloat32(reader.info(name).dtype, bytes.get(name)!);
  return {
    info,
    names: reader.names,
    shape: (name) => reader.info(name).shape,
    float32,
    float64: (name) =>
      reader.info(name).dtype === 'F64'
        ? (viewAs('F64', bytes.get(name)!) as Float64Array)
        : Float64Array.from(float32(name)),
    int32: (name) => decodeInt32(reader.info(name).dtype, bytes.get(name)!, name),
  };
};
