import type { GeometryLabelsV1 } from '@spatialsv/core';
import { cameraToWorld, frustumSegments, type ViewCamera } from '../cameras.js';
import { type ValueRange, valueRange } from '../color-map.js';
import { shrinkJpeg } from '../images.js';
import { labelMetrics, metricRows } from '../label-metrics.js';
import type { LiftPhoto } from '../lift-file.js';
import { isFinitePoint, robustBounds } from '../point-cloud.js';
import { camerasFromRays, camerasOfLabels, pointsFromCameras, pointsOf } from '../view-cameras.js';
import { unitOf } from '../view-figures.js';
import type { PageCamera, PageFact, PageMaps, PageScene, PageView } from './format.js';
import { type Detail, type MapsToPack, packMaps, short } from './pack-maps.js';
import type { ReportScene, ScenePredictions } from './report.js';
import { turnAll, upright, worldDirection } from './upright.js';

/** One source of maps, before it is packed. */
interface Source extends MapsToPack {
  readonly cameras: readonly (ViewCamera | undefined)[];
  readonly dropEdges: boolean;
  readonly metrics: readonly PageFact[];
}

/** Points of one source that a page draws at most. */
const MOST_POINTS = 1_000_000;
/** Length of the frusta as a share of the largest depth. */
const FRUSTUM_SHARE = 0.2;

/**
 * Packs a scene for the page.
 * @param maxBytes what its images and maps may take, in base64; detail is left out until they do.
 */
export async function packScene(
  scene: ReportScene,
  maxBytes = Number.POSITIVE_INFINITY,
): Promise<PageScene> {
  const label = scene.labels && labelSource(scene.labels);
  const predictions = scene.predictions.map((found) => found && predictionSource(found, scene));
  const sources = [label, ...predictions].filter((source) => source !== undefined);
  const range = commonRange(sources);
  const turn = upright((label ?? sources[0])?.cameras.filter((c) => c !== undefined) ?? []);
  const views = await packPhotos(scene.photos, PHOTO_SHARE * maxBytes);
  const photoBytes = views.reduce((sum, { photo }) => sum + photo.length, 0);
  const share = (maxBytes - photoBytes) / Math.max(1, sources.length);
  const pack = (source: Source | undefined): PageMaps | null =>
    source ? packSource(source, turn, FRUSTUM_SHARE * range.max, share) : null;
  const conventions =
    scene.labels?.conventions ?? scene.predictions.find(Boolean)?.maps.conventions;
  return {
    unit: conventions ? unitOf(conventions) : '',
    depthRange: [short(range.min), short(range.max)],
    ...sceneSphere(label ? [label] : sources, turn),
    views,
    label: pack(label),
    predictions: predictions.map(pack),
  };
}

function labelSource(labels: GeometryLabelsV1): Source {
  const cameras = camerasOfLabels(labels);
  const { views, height, width, depth, mask, conventions } = labels;
  const points = pointsFromCameras(depth, cameras, conventions.pixelCentre);
  return { views, height, width, depth, mask, points, cameras, dropEdges: false, metrics: [] };
}

function predictionSource(found: ScenePredictions, { labels }: ReportScene): Source {
  const { maps } = found;
  const cameras = found.cameras ?? solvedCameras(found);
  const { views, height, width, depth, depthConfidence: confidence } = maps;
  const points = found.points ?? pointsOf(maps, cameras);
  const metrics = labels?.mask.includes(1)
    ? metricRows(labelMetrics(depth, cameras, labels), unitOf(labels.conventions))
    : [];
  return { views, height, width, depth, confidence, points, cameras, dropEdges: true, metrics };
}

function solvedCameras({ maps }: ScenePredictions): readonly (ViewCamera | undefined)[] {
  if (maps.rays === undefined) return Array.from({ length: maps.views }, () => undefined);
  return camerasFromRays(maps.rays, maps, maps.conventions.pixelCentre, maps.rayConfidence);
}

function commonRange(sources: readonly Source[]): ValueRange {
  const ranges = sources.map(({ depth, mask }) => valueRange(depth, mask));
  if (ranges.length === 0) return { min: 0, max: 1 };
  return {
    min: Math.min(...ranges.map(({ min }) => min)),
    max: Math.max(...ranges.map(({ max }) => max)),
  };
}

/** A sphere around the points of most pixels and the cameras. */
function sceneSphere(sources: readonly Source[], turn: readonly number[]) {
  const corners = sources.flatMap((source): ArrayLike<number>[] => {
    const positions = turnAll(turn, finitePoints(source));
    const centres = knownCameras(source).map(([, camera]) =>
      turnAll(turn, cameraToWorld(camera, [0, 0, 0])),
    );
    if (positions.length === 0) return centres;
    const { min, max } = robustBounds({ positions }, 0.03);
    return [min, max, ...centres];
  });
  if (corners.length === 0) return { centre: [0, 0, 0], radius: 1 };
  const axis = (a: number) => corners.map((corner) => corner[a]!);
  const low = [0, 1, 2].map((a) => Math.min(...axis(a)));
  const high = [0, 1, 2].map((a) => Math.max(...axis(a)));
  const centre = low.map((value, a) => short((value + high[a]!) / 2));
  return {
    centre,
    radius: short(Math.hypot(...low.map((value, a) => high[a]! - value)) / 2 || 1),
  };
}

/** Enough of the valid points to know where they lie. */
function finitePoints({ points, mask }: Source): number[] {
  const stride = Math.max(1, Math.floor(points.length / 3 / 20_000));
  const found: number[] = [];
  for (let i = 0; i * 3 < points.length; i += stride) {
    if (mask?.[i] === 0 || !isFinitePoint(points, i)) continue;
    found.push(points[3 * i]!, points[3 * i + 1]!, points[3 * i + 2]!);
  }
  return found;
}

const knownCameras = ({ cameras }: Source): [number, ViewCamera][] =>
  cameras.flatMap((camera, view) => (camera ? [[view, camera] as [number, ViewCamera]] : []));

function packSource(
  source: Source,
  turn: readonly number[],
  frustumDepth: number,
  maxBytes: number,
): PageMaps {
  const turned = { ...source, points: turnAll(turn, source.points) };
  const cameras = knownCameras(source).map(
    ([view, camera]): PageCamera => ({
      view,
      segments: [...turnAll(turn, frustumSegments(camera, frustumDepth))].map(short),
      centre: [...turnAll(turn, cameraToWorld(camera, [0, 0, 0]))].map(short),
      forward: [...turnAll(turn, worldDirection(camera, [0, 0, 1]))].map(short),
      fovY: short(2 * Math.atan(camera.height / (2 * camera.intrinsics[4]!))),
    }),
  );
  const { dropEdges, metrics } = source;
  return { ...packWithin(turned, maxBytes), dropEdges, cameras, metrics };
}

/** Bytes of a pixel in base64: at 16 bits without compression, and at 12 bits as it usually compresses. */
const WHOLE_PIXEL_BYTES = 12;
const USUAL_PIXEL_BYTES = 5;
/** Codes of a page that has to leave detail out. */
const COARSE_BITS = 12;

/** The finest packing that stays within `maxBytes`. */
function packWithin(maps: MapsToPack, maxBytes: number) {
  const pixels = maps.views * maps.height * maps.width;
  const least = Math.ceil(Math.sqrt(pixels / MOST_POINTS)) || 1;
  if ((pixels / least ** 2) * WHOLE_PIXEL_BYTES <= maxBytes)
    return packMaps(maps, { stride: least, bits: 16 });
  const usual = Math.floor(Math.sqrt((pixels * USUAL_PIXEL_BYTES) / Math.max(1, maxBytes)));
  const coarsest = Math.max(maps.height, maps.width);
  let detail: Detail = { stride: Math.min(coarsest, Math.max(least, usual)), bits: COARSE_BITS };
  for (;;) {
    const packed = packMaps(maps, detail);
    if (packed.data.length <= maxBytes || detail.stride >= coarsest) return packed;
    const shrink = Math.sqrt(packed.data.length / Math.max(1, maxBytes));
    detail = { ...detail, stride: Math.max(detail.stride + 1, Math.floor(detail.stride * shrink)) };
  }
}

/** What of the bytes of a scene its images may take. */
const PHOTO_SHARE = 0.4;
const PHOTO_SIDES_PX = [640, 448, 320, 256, 192, 128];

/** The largest images that stay within `maxBytes`; the smallest where none do. */
async function packPhotos(photos: readonly LiftPhoto[], maxBytes: number): Promise<PageView[]> {
  let views: PageView[] = [];
  for (const side of PHOTO_SIDES_PX) {
    views = await Promise.all(
      photos.map(async ({ name, width, height, jpeg }) => {
        const small = await shrinkJpeg(jpeg, side);
        return { name, width, height, photo: Buffer.from(small).toString('base64') };
      }),
    );
    if (views.reduce((sum, { photo }) => sum + photo.length, 0) <= maxBytes) break;
  }
  return views;
}
