import {
  checkLabels,
  depthFromPoints,
  type ImageSize,
  relativeToFirst,
  resampleFeatures,
  resampleLabels,
} from '@spatialsv/core/kit';
import type { GeometryLabelsV1 } from '@spatialsv/core/spec';
import { type Cameras, readCameras } from './cameras.js';
import { readFeatures } from './features.js';
import { type NetworkImage, wholeWindow } from './network-images.js';
import type { Plan } from './plan.js';
import { reject } from './reject.js';
import { type Outputs, readOutput } from './run-graph.js';

/** Depths at or below this are not measurements. */
const MIN_DEPTH = 1e-6;
const MIN_VALID = 0.5;

/**
 * Labels of the whole images, from what the graph gave for the part that it saw.
 * @param to size of the labels; the scale of the network's input where absent.
 * @throws SpatialError DATA_INVALID for results that cannot be labels.
 */
export function makeLabels(
  plan: Plan,
  images: readonly NetworkImage[],
  outputs: Outputs,
  to: Partial<ImageSize>,
): GeometryLabelsV1 {
  const seen = seenLabels(plan, images, outputs);
  checkLabels(seen, outputs.graph.path);
  const { scaled } = images[0]!;
  const windows = images.map(wholeWindow);
  const { height = scaled.height, width = scaled.width } = to;
  const whole = resampleLabels(seen, { height, width, windows });
  if (seen.features === undefined) return whole;
  const input = { height: seen.height, width: seen.width, windows };
  return { ...whole, features: resampleFeatures(seen.features, input) };
}

/** Labels of what the network saw, in the size of its input. */
function seenLabels(
  plan: Plan,
  images: readonly NetworkImage[],
  outputs: Outputs,
): GeometryLabelsV1 {
  const { height, width } = images[0]!;
  const size = { height, width };
  const cameras = readCameras(plan, images, outputs);
  const surface = readSurface(plan, size, cameras, outputs);
  const features = plan.outputs.features && readFeatures(plan.outputs.features, size, outputs);
  return {
    conventions: {
      axes: 'opencv',
      extrinsics: 'world-to-camera',
      pixelCentre: plan.pixelCentre,
      depth: 'z-depth',
      scale: plan.scale,
      world: 'first-camera',
    },
    views: images.length,
    ...size,
    ...surface,
    intrinsics: cameras.intrinsics,
    extrinsicsWorldToCamera: relativeToFirst(cameras.worldToCamera),
    ...(features ? { features } : {}),
  };
}

/** Depth, where it is valid, and how sure the network is of it. Pixels without a label have depth 0 and confidence 1. */
function readSurface(
  plan: Plan,
  size: ImageSize,
  cameras: Cameras,
  outputs: Outputs,
): Pick<GeometryLabelsV1, 'depth' | 'mask' | 'depthConfidence'> {
  const depth = readDepth(plan, size, cameras, outputs);
  const measured = Uint8Array.from(depth, (value) =>
    Number.isFinite(value) && value > MIN_DEPTH ? 1 : 0,
  );
  assertMostlyValid(outputs, measured, depth.length / (size.height * size.width));
  const mask = withoutSky(plan, size, outputs, measured);
  const { depthConfidence } = plan.outputs;
  const masked = (values: Float32Array, filler: number) =>
    values.map((value, i) => (mask[i] ? value : filler));
  const confidence =
    depthConfidence && readOutput(outputs, depthConfidence, [size.height, size.width]);
  return {
    depth: masked(depth, 0),
    mask,
    ...(confidence ? { depthConfidence: masked(confidence, 1) } : {}),
  };
}

/** (V, H, W) z-depth. */
function readDepth(
  plan: Plan,
  { height, width }: ImageSize,
  { intrinsics, worldToCamera }: Cameras,
  outputs: Outputs,
): Float32Array {
  const { depth, points } = plan.outputs;
  if (depth === undefined) {
    return depthFromPoints(readOutput(outputs, points!.name, [height, width, 3]), worldToCamera);
  }
  const stored = readOutput(outputs, depth.name, [height, width]);
  const pixels = height * width;
  for (let view = 0; view < stored.length / pixels; view++) {
    const camera = intrinsics.subarray(9 * view, 9 * view + 9);
    const ofView = stored.subarray(view * pixels, (view + 1) * pixels);
    if (depth.canonicalFocal) scaleBy(ofView, (camera[0]! + camera[4]!) / 2 / depth.canonicalFocal);
    if (depth.kind === 'ray-length') alongAxis(ofView, width, camera, plan.pixelCentre);
  }
  return stored;
}

function scaleBy(values: Float32Array, factor: number): void {
  for (let i = 0; i < values.length; i++) values[i]! *= factor;
}

/** Lengths along the rays of a view to z-depth: divided by the length of the ray whose z is 1. */
function alongAxis(
  lengths: Float32Array,
  width: number,
  camera: Float32Array,
  pixelCentre: Plan['pixelCentre'],
): void {
  const offset = pixelCentre === 'half' ? 0.5 : 0;
  for (let i = 0; i < lengths.length; i++) {
    const x = ((i % width) + offset - camera[2]!) / camera[0]!;
    const y = (Math.floor(i / width) + offset - camera[5]!) / camera[4]!;
    lengths[i]! /= Math.hypot(x, y, 1);
  }
}

function assertMostlyValid({ graph }: Outputs, measured: Uint8Array, views: number): void {
  const pixels = measured.length / views;
  for (let view = 0; view < views; view++) {
    const valid = measured
      .subarray(view * pixels, (view + 1) * pixels)
      .reduce((sum, value) => sum + value, 0);
    if (valid > MIN_VALID * pixels) continue;
    throw reject(
      graph,
      `view ${view + 1} has ${valid} finite depths above 0 among ${pixels}, expected more than half`,
    );
  }
}

function withoutSky(
  { outputs: { sky } }: Plan,
  { height, width }: ImageSize,
  outputs: Outputs,
  mask: Uint8Array,
): Uint8Array {
  if (sky === undefined) return mask;
  const values = readOutput(outputs, sky.name, [height, width]);
  return mask.map((valid, i) => (values[i]! >= sky.threshold ? 0 : valid));
}
