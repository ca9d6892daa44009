/** The files of a lift beside its page. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type GeometryConventionsV1, type GeometryLabelsV1, SpatialError } from '@spatialsv/core';
import { type HeadAgreement, headAgreement } from './agreement.js';
import { cameraFile, type ViewCamera } from './cameras.js';
import type { CloudMetrics } from './cloud-metrics.js';
import { mapPainter } from './color-bar.js';
import { colorize, valueRange } from './color-map.js';
import { encodeGlb } from './glb.js';
import type { LabelMetrics } from './label-metrics.js';
import { colmapFiles } from './labels/colmap-files.js';
import { depthStep } from './labels/depth-images.js';
import type { LiftInput } from './lift-input.js';
import { encodePly } from './ply.js';
import type { PointCloud } from './point-cloud.js';
import { lengthUnit } from './view-figures.js';

export interface OutputFile {
  /** Relative to the folder. */
  readonly name: string;
  readonly what: string;
  readonly data: Uint8Array | string;
}

/** The input with its cameras found. */
export interface LiftScene extends LiftInput {
  readonly cameras: readonly (ViewCamera | undefined)[];
  readonly camerasFrom: string;
}

/** What `lift.json` holds: every number of a lift, and what its files are. */
export interface LiftSummary {
  readonly views: number;
  readonly height: number;
  readonly width: number;
  readonly conventions: GeometryConventionsV1;
  /** Depth of one step of the 16-bit PNGs; 0 there is no depth. */
  readonly depthStep16Bit: number;
  readonly points: number;
  /** By view; absent where there is no ray map or no point map. */
  readonly agreement?: readonly HeadAgreement[];
  /** Beside labels. */
  readonly metrics?: LabelMetrics;
  readonly clouds?: CloudMetrics;
  readonly files: readonly { readonly name: string; readonly what: string }[];
  /** What to know about the files. */
  readonly notes: readonly string[];
}

/** Point cloud, scene and cameras, where there are any. */
export async function sceneFiles(
  scene: LiftScene,
  cloud: PointCloud,
  frustumDepth: number,
): Promise<OutputFile[]> {
  const { conventions } = scene.predictions;
  const frame = `${conventions.world === 'first-camera' ? 'first camera' : 'source'}, unit ${conventions.scale}`;
  const { cameras } = scene;
  if (cloud.positions.length === 0 && cameras.length === 0) return [];
  const glb = await encodeGlb({ cloud, cameras, frustumDepth, extras: { world: frame } });
  const ply = encodePly(cloud, [`axes OpenCV: x right, y down, z forward; world ${frame}`]);
  const files: OutputFile[] = [
    { name: 'points.ply', what: 'point cloud (MeshLab, CloudCompare)', data: ply },
    { name: 'scene.glb', what: 'points and camera frusta (any glTF viewer, Blender)', data: glb },
  ];
  if (cameras.length === 0) return files;
  const names = scene.images.map((image) => image.path);
  const content = cameraFile(cameras, conventions, scene.camerasFrom, names);
  const data = `${JSON.stringify(content, null, 2)}\n`;
  return [...files, { name: 'cameras.json', what: 'poses and intrinsics', data }];
}

/**
 * The views that have a camera as a sparse model of COLMAP.
 * @returns no files, and a note, where COLMAP cannot take them: no camera, images that are no files, or a path with spaces.
 */
export async function liftColmap(
  scene: LiftScene,
): Promise<{ readonly files: readonly OutputFile[]; readonly notes: readonly string[] }> {
  const posed = scene.cameras.flatMap((camera, view) => (camera === undefined ? [] : [view]));
  if (posed.length === 0) return { files: [], notes: ['colmap: no view has a camera'] };
  if (!posed.every((view) => existsSync(scene.images[view]!.path ?? '')))
    return { files: [], notes: ['colmap: the images are no files'] };
  const images = posed.map((view) => {
    const { path, width, height } = scene.images[view]!;
    return { path: resolve(path!), width, height };
  });
  const photos = posed.map((view) => scene.images[view]!);
  const covered = scene.covered && posed.map((view) => scene.covered![view]!);
  const set = { labels: posedGeometry(scene, posed), images, ...(covered && { covered }) };
  try {
    const { files, notes } = await colmapFiles(set, photos);
    const what = 'sparse model of COLMAP';
    return { files: files.map((file) => ({ ...file, what })), notes };
  } catch (error) {
    if (!SpatialError.isInstance(error)) throw error;
    return { files: [], notes: [`colmap left out: ${error.message}`] };
  }
}

/** Predictions of some views with their cameras, in the form of labels. */
function posedGeometry(scene: LiftScene, views: readonly number[]): GeometryLabelsV1 {
  const { conventions, height, width, depth, depthConfidence } = scene.predictions;
  const pixels = height * width;
  const gather = (values: Float32Array) => {
    const rows = new Float32Array(views.length * pixels);
    for (const [row, view] of views.entries())
      rows.set(values.subarray(view * pixels, (view + 1) * pixels), row * pixels);
    return rows;
  };
  const cameras = views.map((view) => scene.cameras[view]!);
  const ofViews = gather(depth);
  return {
    conventions,
    ...{ views: views.length, height, width },
    depth: ofViews,
    mask: Uint8Array.from(ofViews, (value) => (value > 0 && Number.isFinite(value) ? 1 : 0)),
    ...(depthConfidence && { depthConfidence: gather(depthConfidence) }),
    intrinsics: Float32Array.from(cameras.flatMap(({ intrinsics }) => [...intrinsics])),
    extrinsicsWorldToCamera: Float32Array.from(
      cameras.flatMap(({ extrinsicsWorldToCamera }) => [...extrinsicsWorldToCamera]),
    ),
  };
}

/** A image for each view of how far the two kinds of points are apart. */
export async function agreementFiles(scene: LiftScene): Promise<{
  readonly files: readonly OutputFile[];
  readonly views?: readonly HeadAgreement[];
}> {
  const found = headAgreement(scene.predictions);
  if (found === undefined) return { files: [] };
  const { height, width, views, conventions } = scene.predictions;
  const { max } = valueRange(found.distances);
  const range = { min: 0, max };
  const title = `Heads apart (${lengthUnit(conventions)})`;
  const paint = mapPainter({ map: 'viridis', range, title });
  const ofView = async (_: unknown, view: number): Promise<OutputFile> => {
    const part = found.distances.subarray(view * height * width, (view + 1) * height * width);
    const image = colorize(part, height, width, { map: 'viridis', range });
    return {
      name: `agreement/view-${view + 1}.png`,
      what: 'distance between the points of the depth and ray heads and those of the point head',
      data: await paint(image),
    };
  };
  return { files: await Promise.all(Array.from({ length: views }, ofView)), views: found.views };
}

/** `lift.json`, which names the other files. */
export function summaryFile(summary: LiftSummary): OutputFile {
  const data = `${JSON.stringify(summary, null, 2)}\n`;
  return { name: 'lift.json', what: 'every number, and what the files are', data };
}

export const depthStepOf = ({ predictions: { depth, conventions } }: LiftInput): number =>
  depthStep({ depth, conventions });
