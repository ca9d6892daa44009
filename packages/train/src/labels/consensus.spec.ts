import { join } from 'node:path';
import { type Golden, readGolden } from '@spatialsv/core/testing';
import { consensus, scaleBetween } from './consensus.js';
import type { ViewLabels } from './label-maps.js';

const FOLDER = join(__dirname, '../__golden__/consensus');

type Info = Record<'views' | 'teacherTolerance' | 'scale' | 'consensus', number>;

let golden: Golden<Info>;
let info: Info;
beforeAll(async () => {
  golden = await readGolden(FOLDER);
  info = golden.info;
});

/** The part of a map that is of one view. */
function ofView(name: string, view: number): Float32Array {
  const all = golden.float32(name);
  const size = all.length / info.views;
  return all.slice(view * size, (view + 1) * size);
}

const teacher = (name: 'first' | 'second'): ViewLabels[] =>
  Array.from({ length: info.views }, (_, view) => {
    const map = (key: string) => ofView(`${name}.${key}`, view);
    const mask = map('mask');
    const rayMask = mask.map(() => 1);
    return { depth: map('depth'), mask, rays: map('rays'), rayMask, points: map('points') };
  });

const worst = (found: ArrayLike<number>, expected: ArrayLike<number>) =>
  Math.max(...Array.from(expected, (value, i) => Math.abs(value - found[i]!)));

/** Labels in another unit. */
const inUnit = (views: readonly ViewLabels[], unit: number): ViewLabels[] =>
  views.map(({ depth, points, rays, ...masks }) => ({
    ...masks,
    depth: depth.map((value) => unit * value),
    points: points.map((value) => unit * value),
    rays: rays.map((value, i) => (i % 6 < 3 ? unit * value : value)),
  }));

describe('the consensus of two teachers', () => {
  it('weighs pixels as the equations in numpy do', () => {
    const [first, second] = [teacher('first'), teacher('second')];
    const { weights, agreement } = consensus(first, second, info.teacherTolerance);
    expect(scaleBetween(first, second) / info.scale).toBeCloseTo(1, 6);
    for (let view = 0; view < info.views; view++)
      for (const task of ['depth', 'rays', 'points'] as const)
        expect(worst(weights[view]![task], ofView(`weights.${task}`, view))).toBeLessThan(1e-6);
    expect(worst(agreement.depthErrors, golden.float32('depthErrors'))).toBeLessThan(1e-6);
    expect(agreement.consensus).toBeCloseTo(info.consensus, 6);
  });

  it('does not depend on the unit of the second', () => {
    const [first, second] = [teacher('first'), teacher('second')];
    const plain = consensus(first, second, 0.1);
    const scaled = consensus(first, inUnit(second, 7), 0.1);
    for (const [view, { depth, rays, points }] of plain.weights.entries()) {
      expect(worst(scaled.weights[view]!.depth, depth)).toBeLessThan(1e-5);
      expect(worst(scaled.weights[view]!.rays, rays)).toBeLessThan(1e-5);
      expect(worst(scaled.weights[view]!.points, points)).toBeLessThan(1e-5);
    }
  });

  it('of equal labels is whole, of a pixel that one leaves out half', () => {
    const first = teacher('first').map((view) => ({ ...view, mask: view.mask.fill(1) }));
    const full = first.map((view) => ({ ...view, depth: view.depth.map((d) => d || 1) }));
    const second = full.map((view) => ({ ...view, mask: view.mask.slice() }));
    second[0]!.mask[3] = 0;
    const { weights, agreement } = consensus(full, second, 0.1);
    expect(weights[0]!.depth[3]).toBeCloseTo(0.5, 6);
    expect([...weights[1]!.depth, ...weights[1]!.rays].every((w) => w === 1)).toBe(true);
    expect(agreement.depthErrors).toEqual([0, 0]);
  });
});
