import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { canonicalJson } from '../canonical-json.js';
import { SpatialError } from '../errors.js';
import { describeProblem } from '../issues.js';
import { decodeFloat32 } from '../safetensors/dtypes.js';
import {
  type DecodedSafetensors,
  decodeSafetensors,
  encodeSafetensors,
  type TensorBytes,
} from '../safetensors/memory.js';
import type { GeometryLabelsV1 } from '../spec.js';
import { validShareOf } from './check-storable.js';
import { exactTensor, featureTensor, maskedTensor, packMask, unpackMask } from './precision.js';
import type { LabelSummary, StoredField, StoredLabels } from './types.js';

/** Of the values and of the tables around them. Another number: another way to read them. */
export const STORE_VERSION = 1;

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);
const countSchema = z.int().positive();

const headerSchema = z.object({
  conventions: z.object({
    axes: z.literal('opencv'),
    extrinsics: z.literal('world-to-camera'),
    pixelCentre: z.enum(['integer', 'half']),
    depth: z.enum(['z-depth', 'ray-length']),
    scale: z.enum(['metric-metres', 'relative']),
    world: z.enum(['first-camera', 'source']),
  }),
  provenance: z.object({
    source: z.string(),
    model: z.string(),
    settings: z.record(z.string(), z.unknown()),
    weightsSha256: sha256Schema.exactOptional(),
    licence: z.object({ name: z.string(), commercialUse: z.boolean() }),
  }),
  images: z.array(
    z.object({ path: z.string(), sha256: sha256Schema, width: countSchema, height: countSchema }),
  ),
  createdAt: z.iso.datetime(),
});

const recordSchema = headerSchema.extend({
  views: countSchema,
  height: countSchema,
  width: countSchema,
  fields: z.array(z.object({ name: z.string(), dtype: z.string(), shape: z.array(countSchema) })),
  validShare: z.number().min(0).max(1),
  bytes: countSchema,
  crc32: z.int().nonnegative(),
});

type Header = Omit<StoredLabels, 'labels'> & { readonly conventions: LabelSummary['conventions'] };

/** What lies beside a value: its summary and its checksum. */
export type LabelRecord = Omit<LabelSummary, 'key'> & { readonly crc32: number };

export interface EncodedLabels {
  /** A safetensors file. */
  readonly value: Uint8Array;
  readonly record: LabelRecord;
}

const damaged = (where: string, problem: string, cause?: unknown): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `${where}: ${problem}`,
    hint: 'The entry is damaged: remove it and label its images again. Check the disk and the memory of the machine.',
    cause,
  });

// ---------------------------------------------------------------------------------------------- encode

/**
 * The value of a label store: depth, cameras, packed mask and, where there are any, confidence and features as a
 * safetensors file whose metadata says everything else.
 * @throws SpatialError DATA_INVALID for images or a provenance that are not what their types say.
 */
export const encodeLabels = (stored: StoredLabels, where: string): EncodedLabels => {
  const { views, height, width, conventions } = stored.labels;
  const { provenance, images, createdAt } = stored;
  const header = checkHeader({ conventions, provenance, images, createdAt }, views, where);
  const tensors = labelTensors(stored.labels);
  const value = encodeSafetensors(tensors, encodeMetadata(header));
  const fields = [...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
  const validShare = validShareOf(stored.labels);
  const bytes = value.byteLength;
  const sizes = { views, height, width, fields, validShare, bytes };
  return { value, record: { ...header, ...sizes, crc32: crc32(value) } };
};

const checkHeader = (header: Header, views: number, where: string): Header => {
  const parsed = headerSchema.safeParse(header);
  if (parsed.success && parsed.data.images.length === views) return parsed.data;
  const problem = parsed.success
    ? `expected one image for each of ${views} views, found ${header.images.length}`
    : describeProblem(parsed.error);
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `${where}: ${problem}`,
    hint: 'Nothing was stored. This is a fault of whatever made the labels.',
  });
};

const encodeMetadata = (header: Header): Readonly<Record<string, string>> => ({
  format: 'spatialsv-labels',
  version: String(STORE_VERSION),
  conventions: JSON.stringify(header.conventions),
  provenance: JSON.stringify(header.provenance),
  images: JSON.stringify(header.images),
  created_at: header.createdAt,
});

const labelTensors = (labels: GeometryLabelsV1): ReadonlyMap<string, TensorBytes> => {
  const { views, height, width, mask, features, depthConfidence } = labels;
  const map = [views, height, width];
  const bits = packMask(mask, views);
  const tensors = new Map<string, TensorBytes>([
    ['depth', maskedTensor(labels.depth, mask, map)],
    ['mask_bits', { dtype: 'U8', shape: [views, bits.length / views], bytes: bits }],
    ['intrinsics', exactTensor(labels.intrinsics, [views, 3, 3])],
    ['extrinsics_world_to_camera', exactTensor(labels.extrinsicsWorldToCamera, [views, 3, 4])],
  ]);
  if (depthConfidence) tensors.set('depth_confidence', maskedTensor(depthConfidence, mask, map));
  if (features) {
    const grid = [views, features.h, features.w, features.channels];
    tensors.set('features', featureTensor(features.data, grid));
  }
  return tensors;
};

/** SHA-256 of what a value says of the geometry; who made it and when lie in its header and do not count. */
export const labelsDigest = (
  value: Uint8Array,
  { fields, conventions }: Pick<LabelRecord, 'fields' | 'conventions'>,
): string => {
  const header = Number(new DataView(value.buffer, value.byteOffset).getBigUint64(0, true));
  return createHash('sha256')
    .update(canonicalJson({ fields, conventions }))
    .update(value.subarray(8 + header))
    .digest('hex');
};

// ---------------------------------------------------------------------------------------------- decode

/** @throws SpatialError DATA_INVALID for bytes that are not a record. */
export const parseRecord = (text: string, where: string): LabelRecord => {
  try {
    const { fields, ...record } = recordSchema.parse(JSON.parse(text));
    return { ...record, fields: fields as readonly StoredField[] };
  } catch (error) {
    throw damaged(where, 'the record beside the labels cannot be read', error);
  }
};

/**
 * @throws SpatialError DATA_INVALID when the checksum or the structure of the value is wrong.
 */
export const decodeLabels = (
  value: Uint8Array,
  record: LabelRecord,
  where: string,
): StoredLabels => {
  const found = crc32(value);
  if (found !== record.crc32)
    throw damaged(where, `CRC-32 is ${hex(found)}, expected ${hex(record.crc32)}`);
  const { labels, ...header } = parseValue(value, where);
  return { ...header, labels };
};

const hex = (checksum: number): string => checksum.toString(16).padStart(8, '0');

const parseValue = (value: Uint8Array, where: string): StoredLabels => {
  try {
    const decoded = decodeSafetensors(value, where);
    const { conventions, ...header } = parseMetadata(decoded.metadata);
    return { ...header, labels: { conventions, ...parseArrays(decoded) } };
  } catch (error) {
    throw damaged(where, (error as Error).message, error);
  }
};

const parseMetadata = (metadata: Readonly<Record<string, string>>): Header =>
  headerSchema.parse({
    conventions: JSON.parse(metadata['conventions'] ?? 'null'),
    provenance: JSON.parse(metadata['provenance'] ?? 'null'),
    images: JSON.parse(metadata['images'] ?? 'null'),
    createdAt: metadata['created_at'],
  });

const parseArrays = ({ tensors }: DecodedSafetensors): Omit<GeometryLabelsV1, 'conventions'> => {
  const [views, height, width] = take(tensors, 'depth').shape as [number, number, number];
  const features = tensors.get('features');
  return {
    views,
    height,
    width,
    depth: floats(take(tensors, 'depth')),
    mask: unpackMask(take(tensors, 'mask_bits').bytes, views, height * width),
    intrinsics: floats(take(tensors, 'intrinsics')),
    extrinsicsWorldToCamera: floats(take(tensors, 'extrinsics_world_to_camera')),
    ...(tensors.has('depth_confidence') && {
      depthConfidence: floats(take(tensors, 'depth_confidence')),
    }),
    ...(features && { features: parseFeatures(features) }),
  };
};

const parseFeatures = (tensor: TensorBytes): NonNullable<GeometryLabelsV1['features']> => {
  const [, h, w, channels] = tensor.shape as [number, number, number, number];
  return { data: floats(tensor), h, w, channels };
};

const floats = ({ dtype, bytes }: TensorBytes): Float32Array => decodeFloat32(dtype, bytes);

const take = (tensors: ReadonlyMap<string, TensorBytes>, name: string): TensorBytes => {
  const tensor = tensors.get(name);
  if (tensor) return tensor;
  throw new Error(`no array "${name}"`);
};
