import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { openSafetensors } from '../safetensors/index.js';
import { sampleStoredLabels } from '../testing/sample-labels.js';
import { withTemporaryFolder } from '../testing/temporary-folder.js';
import { decodeLabels, encodeLabels } from './label-value.js';
import { featureTensor, maskedTensor, packMask, unpackMask } from './precision.js';
import type { StoredLabels } from './types.js';

const { stored } = sampleStoredLabels(3);
const roundTrip = (labels: StoredLabels): StoredLabels => {
  const { value, record } = encodeLabels(labels, 'here');
  return decodeLabels(value, record, 'here');
};

const withLabels = (change: Partial<StoredLabels['labels']>): StoredLabels => ({
  ...stored,
  labels: { ...stored.labels, ...change },
});

const largestError = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!) / Math.abs(value)), 0);

describe('the value of stored labels', () => {
  it('comes back: exact but for float16, which costs less than 1e-3', () => {
    const back = roundTrip(stored);
    const { depth, depthConfidence, features, ...exact } = stored.labels;
    expect(back).toEqual({ ...stored, labels: { ...back.labels, ...exact } });
    expect(largestError(depth, back.labels.depth)).toBeLessThan(5e-4);
    expect(largestError(depthConfidence!, back.labels.depthConfidence!)).toBeLessThan(5e-4);
    expect(largestError(features!.data, back.labels.features!.data)).toBeLessThan(5e-4);
    expect(back.labels.features).toMatchObject({ h: 2, w: 3, channels: 8 });
  });

  it('is equal when it is stored again', () => {
    const once = roundTrip(stored);
    expect(roundTrip(once)).toEqual(once);
  });

  it('does without confidence and features, and with views of odd sizes', () => {
    const { labels, ...rest } = sampleStoredLabels(4, { views: 3, height: 5, width: 7 }).stored;
    const { depthConfidence: _, features: __, ...bare } = labels;
    const back = roundTrip({ ...rest, labels: bare });
    expect(Object.keys(back.labels).sort()).toEqual(Object.keys(bare).sort());
    expect(back.labels.mask).toEqual(bare.mask);
  });

  it('is a safetensors file that says everything by itself', async () => {
    const { value, record } = encodeLabels(stored, 'here');
    await withTemporaryFolder(async (folder) => {
      const file = path.join(folder, 'labels.safetensors');
      await writeFile(file, value);
      const reader = await openSafetensors(file);
      expect(
        [...reader.tensors.values()].map(({ name, dtype, shape }) => ({ name, dtype, shape })),
      ).toEqual([
        { name: 'depth', dtype: 'F16', shape: [2, 12, 16] },
        { name: 'depth_confidence', dtype: 'F16', shape: [2, 12, 16] },
        { name: 'extrinsics_world_to_camera', dtype: 'F32', shape: [2, 3, 4] },
        { name: 'features', dtype: 'F16', shape: [2, 2, 3, 8] },
        { name: 'intrinsics', dtype: 'F32', shape: [2, 3, 3] },
        { name: 'mask_bits', dtype: 'U8', shape: [2, 24] },
      ]);
      expect(reader.metadata).toMatchObject({ format: 'spatialsv-labels', version: '1' });
      expect(JSON.parse(reader.metadata['provenance']!)).toEqual(stored.provenance);
      expect(record.bytes).toBe(value.byteLength);
    });
  });

  it.each([
    ['an image too few', { images: stored.images.slice(1) }],
    [
      'a hash that is none',
      { images: stored.images.map((image) => ({ ...image, sha256: 'abc' })) },
    ],
    ['a time that is none', { createdAt: 'yesterday' }],
    ['a licence that is none', { provenance: { ...stored.provenance, licence: undefined } }],
  ])('is refused with %s', (_what, change) => {
    expect(() => encodeLabels({ ...stored, ...change } as StoredLabels, 'here')).toThrow(
      expect.objectContaining({ code: 'DATA_INVALID' }),
    );
  });

  it('is refused with conventions that are not known', () => {
    const conventions = { ...stored.labels.conventions, axes: 'opengl' as 'opencv' };
    expect(() => encodeLabels(withLabels({ conventions }), 'here')).toThrow(
      expect.objectContaining({ code: 'DATA_INVALID' }),
    );
  });

  it('is found damaged wherever a bit of it flips', () => {
    const { value, record } = encodeLabels(stored, 'here');
    for (let at = 0; at < value.length; at += 97) {
      const copy = value.slice();
      copy[at]! ^= 1 << (at & 7);
      expect(() => decodeLabels(copy, record, 'here')).toThrow(
        expect.objectContaining({ code: 'DATA_INVALID' }),
      );
    }
  });
});

describe('float16', () => {
  const one = Uint8Array.of(1);
  const masked = Uint8Array.of(0);
  const depth = (value: number, mask: Uint8Array) =>
    maskedTensor(Float32Array.of(value), mask, [1, 1, 1]).dtype;

  it.each([
    [65504, 'F16'],
    [65505, 'F32'],
    [2 ** -14, 'F16'],
    [0.99 * 2 ** -14, 'F32'],
  ])('a depth of %p is stored as %s', (value, dtype) => {
    expect(depth(value, one)).toBe(dtype);
  });

  it.each([
    [0, 'F16'],
    [Number.NaN, 'F16'],
    [1e9, 'F32'],
    [Number.POSITIVE_INFINITY, 'F32'],
  ])('a depth of %p behind the mask is stored as %s', (value, dtype) => {
    expect(depth(value, masked)).toBe(dtype);
  });

  it('keeps every valid depth in its range within 1e-3', () => {
    const values = Float32Array.from({ length: 40_000 }, (_, i) => 2 ** (-14 + (30 * i) / 40_001));
    const { labels } = roundTrip({
      ...sampleStoredLabels(5, { views: 1, height: 200, width: 200 }).stored,
      labels: {
        ...sampleStoredLabels(5, { views: 1, height: 200, width: 200 }).stored.labels,
        depth: values,
      },
    });
    expect(largestError(values, labels.depth)).toBeLessThan(2 ** -11);
  });

  it.each([
    ['outliers', [0.001, 60, -3000], 'F16'],
    ['values near zero', [1, 1e-9, 0], 'F16'],
    ['values too large', [1, 70_000], 'F32'],
    ['values all too small', [1e-6, -1e-6, 0], 'F32'],
    ['zeros', [0, 0], 'F32'],
  ])('features with %s', (_name, values, dtype) => {
    const tensor = featureTensor(Float32Array.from(values), [1, 1, 1, values.length]);
    expect(tensor.dtype).toBe(dtype);
  });
});

describe('the packed mask', () => {
  it('begins with the highest bit, each view with a byte', () => {
    const mask = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 0);
    const packed = packMask(mask, 2);
    expect([...packed]).toEqual([0b1000_0000, 0b1000_0000, 0b0111_1111, 0]);
    expect(unpackMask(packed, 2, 9)).toEqual(mask);
  });
});
