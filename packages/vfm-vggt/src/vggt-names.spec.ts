import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { sizeOf } from '@spatialsv/core/kit';
import { RELEASED_VGGT } from './vggt-config.js';
import { isIgnoredTensor, vggtTensorShapes } from './vggt-names.js';

interface Listing {
  readonly tensors: number;
  readonly values: number;
  readonly groups: Readonly<Record<string, { tensors: number; values: number }>>;
  readonly sha256WithoutTrackHead: string;
}

const count = (shape: readonly number[]): number => sizeOf(shape);

describe('names and shapes of the released model', () => {
  const shapes = new Map(Object.entries(vggtTensorShapes(RELEASED_VGGT)));
  let reference: Listing;
  beforeAll(async () => {
    const file = path.join(__dirname, '__golden__/released/case.json');
    reference = JSON.parse(await readFile(file, 'utf8')) as Listing;
  });

  it('are those of the reference, every one of them', () => {
    const lines = [...shapes].map(([name, shape]) => `${name} ${shape.join(',')}`).sort();
    const hash = createHash('sha256').update(lines.join('\n')).digest('hex');
    expect(hash).toBe(reference.sha256WithoutTrackHead);
  });

  it('make, with the track head that is not read, 1797 tensors and 1,256,537,516 values', () => {
    const track = reference.groups['track_head']!;
    const values = [...shapes.values()].reduce((sum, shape) => sum + count(shape), 0);
    expect(shapes.size + track.tensors).toBe(1797);
    expect(values + track.values).toBe(1_256_537_516);
    expect(reference).toMatchObject({ tensors: 1797, values: 1_256_537_516 });
  });

  it('leave out the point head where the configuration does', () => {
    const config = { ...RELEASED_VGGT, pointHead: false };
    const without = new Map(Object.entries(vggtTensorShapes(config)));
    expect(shapes.size - without.size).toBe(reference.groups['point_head']!.tensors);
    expect(isIgnoredTensor('point_head.norm.weight', config)).toBe(true);
    expect(isIgnoredTensor('point_head.norm.weight', RELEASED_VGGT)).toBe(false);
    expect(isIgnoredTensor('track_head.tracker.fmap_norm.weight', RELEASED_VGGT)).toBe(true);
  });
});
