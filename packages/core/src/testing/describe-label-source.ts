import assert from 'node:assert/strict';
import path from 'node:path';
import { SpatialError } from '../errors.js';
import { checkLabels, labelMaps, projectPoints } from '../geometry/index.js';
import { cameraOfView, cameraStack } from '../geometry/rays.js';
import {
  GEOMETRY_FIELDS,
  type GeometryLabelsV1,
  type LabellerV1,
  type LabelSourceV1,
  type OpenSourceOptions,
} from '../spec.js';
import { expectAllclose } from './allclose.js';
import { globalRunner, once, type TestRunner } from './test-runner.js';

export interface LabelSourceConformance {
  readonly source: LabelSourceV1;
  /** What the source is opened with. */
  readonly open?: OpenSourceOptions;
  /** Two or more images of one scene, absolute paths. */
  readonly images: readonly string[];
  /** An existing image that the source has no geometry for, where there is such a thing. */
  readonly foreignImage?: string;
  /**
   * Largest median of |z − depth| / depth, for the points of one view seen by another: how well the views agree. Only
   * pixels that are valid and nearer than the surface behind them count.
   */
  readonly reprojectionTolerance: number;
  /**
   * Largest ‖difference‖ / ‖depth‖ that rounding to bfloat16 may make, for sources that compute in 16 bits; a quarter of it in
   * float16.
   */
  readonly precisionTolerance?: number;
}

const CONVENTIONS: Readonly<Record<string, readonly string[]>> = {
  axes: ['opencv'],
  extrinsics: ['world-to-camera'],
  pixelCentre: ['integer', 'half'],
  depth: ['z-depth', 'ray-length'],
  scale: ['metric-metres', 'relative'],
  world: ['first-camera', 'source'],
};

const checkContribution = ({ source }: LabelSourceConformance): void => {
  assert.equal(source.specificationVersion, 'v1');
  assert.equal(source.kind, 'label-source');
  assert.match(source.id, /^[a-z0-9][a-z0-9.-]*$/);
  assert.ok(source.provides.length > 0, 'provides lists no field');
  for (const field of source.provides)
    assert.ok(GEOMETRY_FIELDS.includes(field), `unknown field ${field}`);
};

const checkProvenance = (source: LabelSourceV1, labeller: LabellerV1): void => {
  const { provenance, provides, sourceId } = labeller;
  assert.equal(sourceId, source.id);
  assert.equal(provenance.source, source.id);
  assert.ok(provenance.model.length > 0, 'the model has no name');
  assert.ok(provenance.licence.name.length > 0, 'the licence has no name');
  assert.equal(typeof provenance.licence.commercialUse, 'boolean');
  const { settings } = provenance;
  assert.deepEqual(JSON.parse(JSON.stringify(settings)), settings, 'settings are not JSON');
  for (const field of provides) assert.ok(source.provides.includes(field), `${field} is extra`);
  if (provenance.weightsSha256 !== undefined)
    assert.match(provenance.weightsSha256, /^[0-9a-f]{64}$/);
};

const checkRecord = (labels: GeometryLabelsV1): void => {
  for (const [name, values] of Object.entries(CONVENTIONS)) {
    const found = labels.conventions[name as keyof GeometryLabelsV1['conventions']];
    assert.ok(values.includes(found), `convention ${name} is ${found}`);
  }
  if (labels.conventions.world !== 'first-camera') return;
  const identity = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0];
  expectAllclose(labels.extrinsicsWorldToCamera.subarray(0, 12), identity, { atol: 1e-4 });
};

const checkContent = (labels: GeometryLabelsV1, labeller: LabellerV1, views: number): void => {
  checkLabels(labels, labeller.sourceId);
  assert.equal(labels.views, views);
  assert.ok(labels.mask.includes(1), 'no pixel is valid');
  const providesFeatures = labeller.provides.includes('feature');
  assert.equal(labels.features !== undefined, providesFeatures, 'features and provides disagree');
  for (const value of labels.features?.data ?? []) assert.ok(Number.isFinite(value));
};

/** |z − depth| / depth of the points of view `from` where view `to` sees them. */
const reprojectionErrors = (labels: GeometryLabelsV1, from: number, to: number): number[] => {
  const { height, width, depth, mask } = labels;
  const perView = height * width;
  const points = labelMaps(labels).points.subarray(3 * from * perView, 3 * (from + 1) * perView);
  const projected = projectPoints(points, cameraOfView(cameraStack(labels), to));
  const offset = labels.conventions.pixelCentre === 'half' ? 0 : 0.5;
  const errors: number[] = [];
  for (let i = 0; i < perView; i++) {
    const [u, v, z] = [0, 1, 2].map((c) => projected[3 * i + c]!) as [number, number, number];
    const [x, y] = [Math.floor(u + offset), Math.floor(v + offset)];
    const isInside = z > 0 && x >= 0 && x < width && y >= 0 && y < height;
    const target = to * perView + y * width + x;
    if (!isInside || !mask[from * perView + i] || !mask[target]) continue;
    const difference = (z - depth[target]!) / depth[target]!;
    // Farther than the surface that the other view sees: hidden behind it.
    if (difference < 0.1) errors.push(Math.abs(difference));
  }
  return errors;
};

const checkViewsAgree = (labels: GeometryLabelsV1, tolerance: number): void => {
  const errors: number[] = [];
  for (let from = 0; from < labels.views; from++)
    for (let to = 0; to < labels.views; to++)
      if (from !== to) errors.push(...reprojectionErrors(labels, from, to));
  assert.ok(errors.length > 0, 'no two views overlap: give neighbouring images of one scene');
  const median = errors.sort((a, b) => a - b)[Math.floor(errors.length / 2)]!;
  assert.ok(median <= tolerance, `median reprojection error ${median}, expected ≤ ${tolerance}`);
};

const rejectsWithSpatialError = async (promise: Promise<unknown>): Promise<void> => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(SpatialError.isInstance(error), `expected a SpatialError, found ${String(error)}`);
};

const checkErrors = async (
  { source, images, foreignImage }: LabelSourceConformance,
  labeller: LabellerV1,
): Promise<void> => {
  const absent = path.join(path.dirname(images[0]!), 'no-such-image.png');
  await rejectsWithSpatialError(labeller.doLabel({ images: [absent] }));
  if (foreignImage) await rejectsWithSpatialError(labeller.doLabel({ images: [foreignImage] }));
  await rejectsWithSpatialError(source.open({ settings: { 'no such setting': 1 } }));
};

/** Labels of 16 bits are near those of float32, are not the same, and say how they were made. */
const checkPrecision = async (
  { source, open, images, precisionTolerance = 0 }: LabelSourceConformance,
  { depth, features }: GeometryLabelsV1,
): Promise<void> => {
  for (const [precision, tolerance] of [
    ['bfloat16', precisionTolerance],
    ['float16', precisionTolerance / 4],
  ] as const) {
    const labeller = await source.open({ ...open, precision });
    const labels = await labeller.doLabel({ images });
    await labeller.dispose();
    assert.equal(labeller.provenance.settings['precision'], precision);
    const errors = [distance(labels.depth, depth)];
    if (features) errors.push(distance(labels.features!.data, features.data));
    for (const error of errors)
      assert.ok(error > 0 && error < tolerance, `${precision}: ${error}, expected < ${tolerance}`);
  }
};

const distance = (found: Float32Array, expected: Float32Array): number => {
  const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));
  return norm(found.map((value, i) => value - expected[i]!)) / norm(expected);
};

/**
 * The conformance suite of a label source: labels are well formed and carry a truthful convention record, views
 * agree with each other, equal requests give equal labels, and bad requests give typed errors.
 * @param create prepares the source and images of one scene; called once.
 */
export const describeLabelSource = (
  create: () => LabelSourceConformance | Promise<LabelSourceConformance>,
  options: { readonly timeoutMs?: number; readonly runner?: TestRunner } = {},
): void => {
  const { timeoutMs = 60_000, runner = globalRunner() } = options;
  const prepared = once(async () => {
    const conformance = await create();
    return { conformance, labeller: await conformance.source.open(conformance.open) };
  });
  const labelled = once(async () => {
    const { conformance, labeller } = await prepared();
    return labeller.doLabel({ images: conformance.images });
  });
  const cases: Readonly<Record<string, () => Promise<void>>> = {
    'says what it is': async () => checkContribution((await prepared()).conformance),
    'says who makes its labels, and under which licence': async () => {
      const { conformance, labeller } = await prepared();
      checkProvenance(conformance.source, labeller);
    },
    'gives well-formed labels of every view': async () => {
      const { conformance, labeller } = await prepared();
      checkContent(await labelled(), labeller, conformance.images.length);
    },
    'states its conventions': async () => checkRecord(await labelled()),
    'gives geometry that the views agree about': async () =>
      checkViewsAgree(await labelled(), (await prepared()).conformance.reprojectionTolerance),
    'gives equal labels for equal requests': async () => {
      const { conformance, labeller } = await prepared();
      const { images } = conformance;
      assert.deepEqual(await labeller.doLabel({ images }), await labelled());
    },
    'labels a single view': async () => {
      const { conformance, labeller } = await prepared();
      const labels = await labeller.doLabel({ images: conformance.images.slice(0, 1) });
      checkLabels(labels, labeller.sourceId);
      assert.equal(labels.views, 1);
    },
    'refuses images and settings that it cannot use with a SpatialError': async () => {
      const { conformance, labeller } = await prepared();
      await checkErrors(conformance, labeller);
    },
    'gives nearly the same labels in 16 bits, where it computes in them': async () => {
      const { conformance, labeller } = await prepared();
      assert.equal('precision' in labeller.provenance.settings, false);
      if (conformance.precisionTolerance === undefined) return;
      await checkPrecision(conformance, await labelled());
    },
    'stops when it is told to': async () => {
      const { conformance, labeller } = await prepared();
      const { images } = conformance;
      await assert.rejects(labeller.doLabel({ images, signal: AbortSignal.abort() }));
    },
  };
  runner.describe('label source', () => {
    for (const [name, check] of Object.entries(cases)) runner.it(name, check, timeoutMs);
    runner.afterAll(async () => (await prepared()).labeller.dispose());
  });
};
