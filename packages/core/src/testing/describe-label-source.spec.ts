import path from 'node:path';
import { SpatialError } from '../errors.js';
import { rigidFrom, rotationAbout } from '../geometry/index.js';
import type { GeometryLabelsV1, LabellerV1, LabelSourceV1 } from '../spec.js';
import { describeLabelSource, type LabelSourceConformance } from './describe-label-source.js';
import type { TestRunner } from './test-runner.js';

const [H, W] = [12, 16];

/** Labels of a wall at z = 4, seen by cameras that move sideways. */
const wallLabels = (views: number): GeometryLabelsV1 => ({
  conventions: {
    axes: 'opencv',
    extrinsics: 'world-to-camera',
    pixelCentre: 'half',
    depth: 'z-depth',
    scale: 'metric-metres',
    world: 'first-camera',
  },
  views,
  height: H,
  width: W,
  depth: new Float32Array(views * H * W).fill(4),
  mask: new Uint8Array(views * H * W).fill(1),
  intrinsics: Float32Array.from(Array(views).fill([12, 0, 8, 0, 12, 6, 0, 0, 1]).flat()),
  extrinsicsWorldToCamera: Float32Array.from(
    [...Array(views).keys()].flatMap((view) =>
      rigidFrom(rotationAbout([0, 0, 1], 0), [-0.4 * view, 0, 0]),
    ),
  ),
});

const makeSource = (
  label: (views: number) => GeometryLabelsV1,
  change: Partial<LabelSourceV1 & LabellerV1> = {},
): LabelSourceV1 => ({
  specificationVersion: 'v1',
  kind: 'label-source',
  id: 'wall',
  provides: ['depth', 'camera'],
  open: async ({ settings } = {}) => {
    if (settings === undefined) return makeLabeller(label, change);
    throw new SpatialError({ code: 'CONFIG_INVALID', message: 'settings', hint: 'Give none.' });
  },
  ...change,
});

const makeLabeller = (
  label: (views: number) => GeometryLabelsV1,
  change: Partial<LabellerV1>,
): LabellerV1 => ({
  sourceId: 'wall',
  provides: ['depth', 'camera'],
  provenance: {
    source: 'wall',
    model: 'plane',
    settings: {},
    licence: { name: 'Apache-2.0', commercialUse: true },
  },
  dispose: async () => undefined,
  doLabel: async ({ images, signal }) => {
    signal?.throwIfAborted();
    if (images.every((image) => path.basename(image).startsWith('wall')))
      return label(images.length);
    throw new SpatialError({ code: 'DATA_INVALID', message: 'no wall', hint: 'Give walls.' });
  },
  ...change,
});

const makeConformance = (source: LabelSourceV1): LabelSourceConformance => ({
  source,
  images: ['/scene/wall-0.png', '/scene/wall-1.png'],
  foreignImage: '/scene/door.png',
  reprojectionTolerance: 1e-5,
});

/** Runs the suite and gives the names of the cases that fail. */
const failuresOf = async (source: LabelSourceV1): Promise<string[]> => {
  const cases: [string, () => Promise<void>][] = [];
  const runner: TestRunner = {
    describe: (_name, body) => body(),
    it: (name, body) => cases.push([name, body]),
    afterAll: () => undefined,
  };
  describeLabelSource(async () => makeConformance(source), { runner });
  const failures: string[] = [];
  for (const [name, body] of cases) await body().catch(() => failures.push(name));
  return failures;
};

describe('describeLabelSource', () => {
  describeLabelSource(() => makeConformance(makeSource(wallLabels)));

  const wrong = (change: (labels: GeometryLabelsV1) => Partial<GeometryLabelsV1>) =>
    makeSource((views) => ({ ...wallLabels(views), ...change(wallLabels(views)) }));
  let calls = 0;

  it.each<[string, string, LabelSourceV1]>([
    ['a wrong id', 'says what it is', makeSource(wallLabels, { id: 'The Wall' })],
    [
      'labels of nobody',
      'says who makes its labels, and under which licence',
      makeSource(wallLabels, {
        provenance: {
          source: 'wall',
          model: '',
          settings: {},
          licence: { name: 'unknown', commercialUse: false },
        },
      }),
    ],
    ['a field without a name', 'says what it is', makeSource(wallLabels, { provides: [] })],
    [
      'camera-to-world poses',
      'gives geometry that the views agree about',
      wrong(({ extrinsicsWorldToCamera }) => ({
        extrinsicsWorldToCamera: extrinsicsWorldToCamera.map((v, i) =>
          i % 12 === 11 && i > 12 ? 2 : v,
        ),
      })),
    ],
    [
      'depth that is not a number',
      'gives well-formed labels of every view',
      wrong(({ depth }) => ({ depth: depth.fill(Number.NaN) })),
    ],
    [
      'an empty mask',
      'gives well-formed labels of every view',
      wrong(({ mask }) => ({ mask: mask.fill(0) })),
    ],
    [
      'a missing view',
      'gives well-formed labels of every view',
      makeSource((views) => wallLabels(Math.max(1, views - 1))),
    ],
    [
      'features that were promised',
      'gives well-formed labels of every view',
      makeSource(wallLabels, { provides: ['depth', 'feature'] }),
    ],
    [
      'an unknown convention',
      'states its conventions',
      wrong(({ conventions }) => ({ conventions: { ...conventions, scale: 'feet' as never } })),
    ],
    [
      'another world than it says',
      'states its conventions',
      wrong(({ extrinsicsWorldToCamera }) => ({
        extrinsicsWorldToCamera: extrinsicsWorldToCamera.map((v, i) => (i % 4 === 3 ? v + 1 : v)),
      })),
    ],
    [
      'labels that change',
      'gives equal labels for equal requests',
      wrong(({ depth }) => ({ depth: depth.fill(4 + calls++) })),
    ],
    [
      'errors without a type',
      'refuses images and settings that it cannot use with a SpatialError',
      makeSource(wallLabels, { doLabel: async () => wallLabels(2) }),
    ],
    [
      'no way to stop',
      'stops when it is told to',
      makeSource(wallLabels, { doLabel: async ({ images }) => wallLabels(images.length) }),
    ],
  ])('finds %s', async (_name, expected, source) => {
    expect(await failuresOf(source)).toContain(expected);
  });
});
