import {
  checkLabels,
  depthFromPoints,
  type GeometryLabelsV1,
  type GraphFile,
  type ImageSize,
  relativeToFirst,
  resampleLabels,
} from '@spatialsv/core';
import { type Cameras, readCameras } from './cameras.js';
import { readFeatures } from './features.js';
import { type NetworkPicture, wholeWindow } from './pictures.js';
import type { Plan } from './plan.js';
import { reject } from './reject.js';
import { type Outputs, readOutput } from './run-graph.js';

/** Depths at or below this are not measurements. */
const MIN_DEPTH = 1e-6;
const MIN_VALID = 0.5;

/**
 * Labels of the whole pictures, from what the graph gave for the part that it saw.
 * @param to size of the labels; the scale of the network's input where absent.
 * @throws SpatialError DATA_INVALID for results that cannot be labels.
 */
export function makeLabels(
  graph: GraphFile,
  plan: Plan,
  pictures: readonly NetworkPicture[],
  outputs: Outputs,
  to: Partial<ImageSize>,
): GeometryLabelsV1 {
  const seen = seenLabels(graph, plan, pictures, outputs);
  checkLabels(seen, graph.path);
  const { scaled } = pictures[0]!;
  return resampleLabels(seen, {
    height: to.height ?? scaled.height,
    width: to.width ?? scaled.width,
    windows: pictures.map(wholeWindow),
  });
}

function seenLabels(
  graph: GraphFile,
  plan: Plan,
  pictures: readonly NetworkPicture[],
  outputs: Outputs,
): GeometryLabelsV1 {
  const { height, width } = pictures[0]!;
  const cameras = readCameras(graph, plan, pictures, outputs);
  const depth = readDepth(graph, plan, { height, width }, cameras, outputs);
  const mask = depth.map((value) => (Number.isFinite(value) && value > MIN_DEPTH ? 1 : 0));
  assertMostlyValid(graph, mask, pictures.length);
  const confidence = plan.outputs.depthConfidence;
  const features = plan.outputs.features;
  return {
    conventions: {
      axes: 'opencv',
      extrinsics: 'world-to-camera',
      pixelCentre: plan.pixelCentre,
      depth: 'z-depth',
      scale: plan.scale,
      world: 'first-camera',
    },
    views: pictures.length,
    height,
    width,
    depth: depth.map((value, i) => (mask[i] ? value : 0)),
    mask: withoutSky(graph, plan, { height, width }, outputs, Uint8Array.from(mask)),
    intrinsics: cameras.intrinsics,
    extrinsicsWorldToCamera: placeViews(plan, cameras.worldToCamera),
    ...(confidence
      ? { depthConfidence: readOutput(graph, outputs, confidence, [height, width]) }
      : {}),
    ...(features ? { features: readFeatures(graph, features, { height, width }, outputs) } : {}),
  };
}

/** World = the first camera. Pictures that were run alone have a world each. */
const placeViews = ({ views }: Plan, worldToCamera: Float32Array): Float32Array => {
  if (views !== 'one') return relativeToFirst(worldToCamera);
  const alone = new Float32Array(worldToCamera.length);
  for (let i = 0; i < alone.length; i += 12)
    alone.set(relativeToFirst(worldToCamera.subarray(i, i + 12)), i);
  return alone;
};

/** (V, H, W) z-depth. */
function readDepth(
  graph: GraphFile,
  plan: Plan,
  { height, width }: ImageSize,
  { intrinsics, worldToCamera }: Cameras,
  outputs: Outputs,
): Float32Array {
  const { depth, points } = plan.outputs;
  if (depth === undefined) {
    const world = readOutput(graph, outputs, points!.name, [height, width, 3]);
    return depthFromPoints(world, worldToCamera);
  }
  const stored = readOutput(graph, outputs, depth.name, [height, width]);
  const offset = plan.pixelCentre === 'half' ? 0.5 : 0;
  const pixels = height * width;
  return stored.map((value, i) => {
    const view = 9 * Math.floor(i / pixels);
    const [fx, cx, fy, cy] = [0, 2, 4, 5].map((k) => intrinsics[view + k]!) as Quadruple;
    const scale = depth.canonicalFocal === undefined ? 1 : (fx + fy) / 2 / depth.canonicalFocal;
    if (depth.kind === 'z-depth') return value * scale;
    const column = i % width;
    const row = Math.floor((i % pixels) / width);
    return (value * scale) / Math.hypot((column + offset - cx) / fx, (row + offset - cy) / fy, 1);
  });
}

type Quadruple = [number, number, number, number];

function assertMostlyValid(graph: GraphFile, mask: ArrayLike<number>, views: number): void {
  const pixels = mask.length / views;
  for (let view = 0; view < views; view++) {
    let valid = 0;
    for (let i = 0; i < pixels; i++) valid += mask[view * pixels + i]!;
    if (valid > MIN_VALID * pixels) continue;
    throw reject(
      graph,
      `view ${view + 1} has ${valid} finite depths above 0 among ${pixels}, expected more than half`,
    );
  }
}

function withoutSky(
  graph: GraphFile,
  { outputs: { sky } }: Plan,
  { height, width }: ImageSize,
  outputs: Outputs,
  mask: Uint8Array,
): Uint8Array {
  if (sky === undefined) return mask;
  const values = readOutput(graph, outputs, sky.name, [height, width]);
  return mask.map((valid, i) => (values[i]! >= sky.threshold ? 0 : valid));
}
