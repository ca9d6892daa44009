import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pointsFromRays, SpatialError } from '@spatialsv/core';
import type { HeadAgreement } from './agreement.js';
import { type CloudMetrics, cloudMetrics } from './cloud-metrics.js';
import { type LabelMetrics, labelMetrics } from './label-metrics.js';
import { liftPhotos } from './lift-file.js';
import {
  agreementFiles,
  depthStepOf,
  type LiftScene,
  type LiftSummary,
  liftColmap,
  type OutputFile,
  sceneFiles,
  summaryFile,
} from './lift-files.js';
import type { LiftDialogue, LiftInput } from './lift-input.js';
import { agreementRows, cameraRows, cloudRows } from './lift-rows.js';
import { buildPointCloud, type PointCloud, type PointCloudOptions } from './point-cloud.js';
import type { PageFact, PageQuestion } from './report/format.js';
import type { Report } from './report/report.js';
import { writeReport } from './report/write-report.js';
import { camerasFromRays, pointsFromCameras, pointsOf } from './view-cameras.js';
import { depthRange, unitOf, viewFiles } from './view-figures.js';

export interface LiftOptions {
  /**
   * `rays`: depth along the ray map; `points`: the point head; `cameras`: depth and cameras. Default: the first of these that is
   * there; without any, depth is shown and there are no points.
   */
  readonly pointSource?: 'rays' | 'points' | 'cameras';
  readonly cloud?: PointCloudOptions;
}

export interface LiftResult extends Omit<LiftSummary, 'files'> {
  /** The page, absolute or relative as the folder was given. */
  readonly page: string;
  /** Every written file, relative to the folder. */
  readonly files: readonly string[];
}

/**
 * Writes what a model sees into a folder: depth and confidence as PNGs with a colour bar, depth as 16-bit PNGs,
 * `points.ply`, `scene.glb` (points, frusta, cameras), `cameras.json`, `colmap/`, `agreement/` where there are points along rays
 * and of a point head, `lift.json` with every number, and `index.html` that shows all of it without a network.
 * @throws SpatialError SHAPE_MISMATCH when arrays, images or labels do not fit; CONVENTION_MISMATCH when labels are in
 *   another scale or frame; DATA_INVALID when the asked source gives no points.
 */
export async function liftGeometry(
  input: LiftInput,
  folder: string,
  options: LiftOptions = {},
): Promise<LiftResult> {
  checkInput(input);
  const scene = withCameras(input);
  const points = predictedPoints(scene, options);
  const cloud = predictedCloud(scene, points, options);
  const measured = measure(scene, points);
  const frustumDepth = FRUSTUM_SHARE * depthRange(scene).max;
  const [agreement, colmap, ofScene, ofViews] = await Promise.all([
    agreementFiles(scene),
    liftColmap(scene),
    sceneFiles(scene, cloud, frustumDepth),
    viewFiles(scene, depthStepOf(scene)),
  ]);
  const files = [...ofScene, ...colmap.files, ...ofViews, ...agreement.files];
  const summary: LiftSummary = {
    ...summaryOf(scene),
    points: cloud.positions.length / 3,
    ...(agreement.views && { agreement: agreement.views }),
    ...measured,
    files: files.map(({ name, what }) => ({ name, what })),
    notes: [...notesOf(cloud), ...colmap.notes],
  };
  const written = [...files, summaryFile(summary)];
  await writeAll(folder, written);
  const page = join(folder, 'index.html');
  const facts = factsOf(scene, measured, agreement.views);
  await writeReport(await reportOf(scene, points, written, facts), page);
  return { ...summary, page, files: [...written.map((file) => file.name), 'index.html'] };
}

const summaryOf = (scene: LiftScene) => {
  const { views, height, width, conventions } = scene.predictions;
  return { views, height, width, conventions, depthStep16Bit: depthStepOf(scene) };
};

const notesOf = ({ positions }: PointCloud): readonly string[] =>
  positions.length > 0 ? [] : ['points: nothing says where they lie'];

interface Measured {
  readonly metrics?: LabelMetrics;
  readonly clouds?: CloudMetrics;
}

/** Labels may be valid nowhere: then there is nothing to measure. */
function measure({ predictions, cameras, labels }: LiftScene, points: Float32Array): Measured {
  if (!labels?.mask.includes(1)) return {};
  const clouds = cloudMetrics(points, labels);
  return {
    metrics: labelMetrics(predictions.depth, cameras, labels),
    ...(clouds && { clouds }),
  };
}

/** The page itself shows how far depth and cameras are from labels. */
const factsOf = (
  scene: LiftScene,
  { clouds }: Measured,
  agreement: readonly HeadAgreement[] | undefined,
): PageFact[] => [
  ...(scene.provenance ?? []),
  ...(clouds ? cloudRows(clouds, unitOf(scene.predictions.conventions)) : []),
  ...cameraRows(scene.cameras),
  ...(agreement ? agreementRows(agreement) : []),
];

/** Length of the frusta as a share of the largest depth. */
const FRUSTUM_SHARE = 0.2;

function withCameras(input: LiftInput): LiftScene {
  const { predictions: p, cameras, camerasFrom } = input;
  if (cameras !== undefined) return { ...input, cameras, camerasFrom: camerasFrom ?? 'given' };
  if (p.rays === undefined) return { ...input, cameras: [], camerasFrom: 'none' };
  const found = camerasFromRays(p.rays, p, p.conventions.pixelCentre, p.rayConfidence);
  return { ...input, cameras: found, camerasFrom: 'ray map' };
}

function checkInput({ predictions, images, labels }: LiftInput): void {
  const pixels = predictions.views * predictions.height * predictions.width;
  if (pixels === 0) {
    throw new SpatialError({
      code: 'DATA_INVALID',
      message: `lift: expected at least one view with pixels, found (${predictions.views}, ${predictions.height}, ${predictions.width})`,
      hint: 'Give one image or more.',
    });
  }
  if (predictions.depth.length !== pixels || images.length !== predictions.views) {
    throw new SpatialError({
      code: 'SHAPE_MISMATCH',
      message: `lift: expected ${pixels} depths and ${predictions.views} images for (${predictions.views}, ${predictions.height}, ${predictions.width}), found ${predictions.depth.length} and ${images.length}`,
      hint: 'Give depth (V, H, W) and one image per view.',
    });
  }
  if (labels === undefined) return;
  const sizes = ['views', 'height', 'width'] as const;
  if (labels.depth.length !== pixels || sizes.some((size) => labels[size] !== predictions[size])) {
    throw new SpatialError({
      code: 'SHAPE_MISMATCH',
      message: `lift: expected labels of (${predictions.views}, ${predictions.height}, ${predictions.width}), found (${labels.views}, ${labels.height}, ${labels.width})`,
      hint: 'Resample the labels to the resolution of the predictions first.',
    });
  }
  for (const key of ['scale', 'depth', 'world'] as const) {
    const [expected, found] = [predictions.conventions[key], labels.conventions[key]];
    if (expected === found) continue;
    throw new SpatialError({
      code: 'CONVENTION_MISMATCH',
      message: `lift: labels: expected ${key} '${expected}' as in the predictions, found '${found}'`,
      hint: 'Bring the labels into the scale and frame of the predictions first.',
    });
  }
}

const sourceOf = ({ predictions: p }: LiftScene, { pointSource }: LiftOptions) =>
  pointSource ?? (p.rays ? 'rays' : p.points ? 'points' : 'cameras');

const predictedPoints = (input: LiftScene, { pointSource }: LiftOptions): Float32Array =>
  pointSource === undefined
    ? pointsOf(input.predictions, input.cameras)
    : sourcePoints(input, pointSource);

function predictedCloud(input: LiftScene, points: Float32Array, options: LiftOptions): PointCloud {
  const { predictions: p } = input;
  const source = sourceOf(input, options);
  const confidence = source === 'points' ? p.pointConfidence : p.depthConfidence;
  const { views, height, width, depth } = p;
  const { images, covered } = input;
  return buildPointCloud(
    { points, views, height, width, images, covered, confidence, depth },
    options.cloud,
  );
}

function sourcePoints(input: LiftScene, source: 'rays' | 'points' | 'cameras'): Float32Array {
  const { predictions: p } = input;
  const cameras = input.cameras.filter((camera) => camera !== undefined);
  if (source === 'rays' && p.rays) return pointsFromRays(p.rays, p.depth);
  if (source === 'points' && p.points) return p.points;
  if (source === 'cameras' && cameras.length === p.views) {
    return pointsFromCameras(p.depth, cameras, p.conventions.pixelCentre);
  }
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `lift: points from '${source}': the predictions have no ${source}`,
    hint: 'Give a ray map, a point map or cameras, and choose the one that is there.',
  });
}

/** The page: one scene, seen by one model, and what was asked about it. */
async function reportOf(
  input: LiftScene,
  points: Float32Array,
  files: readonly OutputFile[],
  facts: readonly PageFact[],
): Promise<Report> {
  const { predictions: maps, cameras, labels, images, covered } = input;
  const photos = await liftPhotos(images, covered);
  const scene = { photos, predictions: [{ maps, cameras, points }], ...(labels && { labels }) };
  return {
    title: input.title,
    ...(input.subtitle !== undefined && { subtitle: input.subtitle }),
    notice: [input.notice, cameraNotice(input)].filter(Boolean).join(' '),
    runs: [{ name: 'Model', facts }],
    questions: [questionOf(input.dialogue)],
    files: [
      ...files.filter(({ name }) => !name.includes('/')),
      ...FOLDERS.filter(({ name }) => files.some((file) => file.name.startsWith(name))),
    ].map(({ name, what }) => ({ name, what })),
    sceneKeys: [SCENE],
    scene: async () => scene,
  };
}

/** What is in the folders of a lift. */
const FOLDERS = [
  { name: 'depth/', what: 'depth, 16-bit depth and confidence of every view' },
  { name: 'colmap/', what: 'the views as a sparse model of COLMAP' },
  { name: 'agreement/', what: 'how far the heads are from each other' },
];

const SCENE = 'lift';

function questionOf(dialogue: LiftDialogue | undefined): PageQuestion {
  const { question = '', answer, expected, correct } = dialogue ?? {};
  const score = correct === undefined ? {} : { score: Number(correct) };
  return {
    ...{ id: 'lift', category: '', text: question, options: [], scene: SCENE },
    ...(expected !== undefined && { expected }),
    answers: answer === undefined ? [] : [{ text: answer, ...score }],
  };
}

/** Names the views for which the ray map gave no camera. */
function cameraNotice({ cameras }: LiftScene): string {
  const missing = cameras.flatMap((camera, view) => (camera === undefined ? [view + 1] : []));
  if (missing.length === 0) return '';
  const views = `view${missing.length > 1 ? 's' : ''} ${missing.join(', ')}`;
  return `The ray map of ${views} determines no camera, as happens with untrained heads.`;
}

async function writeAll(folder: string, files: readonly OutputFile[]): Promise<void> {
  const paths = files.map(({ name }) => join(folder, name));
  for (const parent of new Set(paths.map(dirname))) await mkdir(parent, { recursive: true });
  await Promise.all(files.map(({ data }, i) => writeFile(paths[i]!, data)));
}
