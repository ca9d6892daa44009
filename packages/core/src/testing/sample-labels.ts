import { createHash } from 'node:crypto';
import { labelKey, type StoredLabels } from '../label-store/index.js';
import { createRandom } from '../random.js';
import type { GeometryLabelsV1 } from '../spec.js';

export interface SampleLabelsSize {
  readonly views?: number;
  readonly height?: number;
  readonly width?: number;
  /** Rows, columns and channels of the feature grid. */
  readonly grid?: readonly [h: number, w: number, channels: number];
}

/**
 * Made-up labels that every check of a label store lets pass, equal for equal seeds: cameras on an arc, depths between 1
 * and 4, one pixel in ten masked.
 */
export const sampleLabels = (
  seed: number,
  { views = 2, height = 12, width = 16, grid = [2, 3, 8] }: SampleLabelsSize = {},
): GeometryLabelsV1 => {
  const random = createRandom(seed);
  const pixels = views * height * width;
  const [h, w, channels] = grid;
  return {
    conventions: {
      axes: 'opencv',
      extrinsics: 'world-to-camera',
      pixelCentre: 'integer',
      depth: 'z-depth',
      scale: 'relative',
      world: 'first-camera',
    },
    views,
    height,
    width,
    depth: Float32Array.from({ length: pixels }, () => random.uniform(1, 4)),
    mask: Uint8Array.from({ length: pixels }, () => Number(random.uniform() > 0.1)),
    ...arcOfCameras(views, height, width),
    depthConfidence: Float32Array.from({ length: pixels }, () => random.uniform(1, 9)),
    features: { data: random.normals(views * h * w * channels), h, w, channels },
  };
};

const arcOfCameras = (views: number, height: number, width: number) => {
  const intrinsics = new Float32Array(views * 9);
  const extrinsicsWorldToCamera = new Float32Array(views * 12);
  for (let view = 0; view < views; view++) {
    const [cos, sin] = [Math.cos(0.2 * view), Math.sin(0.2 * view)];
    intrinsics.set([width, 0, width / 2, 0, width, height / 2, 0, 0, 1], view * 9);
    const rows = [cos, 0, sin, 0.3 * view, 0, 1, 0, 0, -sin, 0, cos, 0];
    extrinsicsWorldToCamera.set(rows, view * 12);
  }
  return { intrinsics, extrinsicsWorldToCamera };
};

/** {@link sampleLabels} with images and provenance, and the key that belongs to them. */
export const sampleStoredLabels = (
  seed: number,
  size?: SampleLabelsSize,
): { readonly key: string; readonly stored: StoredLabels } => {
  const labels = sampleLabels(seed, size);
  const images = Array.from({ length: labels.views }, (_, view) => ({
    path: `/images/${seed}/${view}.png`,
    sha256: createHash('sha256').update(`${seed} ${view}`).digest('hex'),
    width: 640,
    height: 480,
  }));
  const provenance = {
    source: 'sample',
    model: 'arc',
    settings: { seed },
    licence: { name: 'Apache-2.0', commercialUse: true },
  };
  const key = labelKey({ images: images.map(({ sha256 }) => sha256), provenance });
  return { key, stored: { labels, provenance, images, createdAt: '2026-01-02T03:04:05.678Z' } };
};
