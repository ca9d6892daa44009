import type { ImageSize } from '@spatialsv/core/kit';
import { compileScene } from './compiled-scene.js';
import type { RayCaster } from './ray-caster.js';
import { castView } from './render-view.js';
import { FIRST_OBJECT_ID, OBJECT_KINDS, type Scene, type SceneCamera } from './scene.js';
import { Shader } from './shading.js';

/** Wavelengths of the position code, metres. */
const WAVELENGTHS = [16, 8, 4, 2, 1, 0.5] as const;

const NORMAL = 6 * WAVELENGTHS.length;
const CLASS = NORMAL + 3;
const CLASSES = OBJECT_KINDS.length + 3;
const ALBEDO = CLASS + CLASSES;
const DISTANCE = ALBEDO + 3;
const RAY = DISTANCE + 2;
const HEIGHT = RAY + 3;
const BOUNDARY = HEIGHT + 1;

/**
 * Channels of the feature map, each a mean over the 4 × 4 rays of a cell:
 * 0–35 sin and cos of 2π·p/λ of the world point p (first-camera frame), axis by axis, {@link WAVELENGTHS} within;
 * 36–38 surface normal (first-camera frame); 39–50 object kind, one-hot in the order of OBJECT_KINDS; 51–53 floor,
 * ceiling, wall; 54–56 albedo (linear RGB); 57 1/(1 + depth); 58 ln(1 + depth); 59–61 unit ray direction
 * (first-camera frame); 62 height above the floor / 3 m; 63 share of rays that meet another surface than the cell's
 * middle.
 */
export const FEATURE_CHANNELS = BOUNDARY + 1;

/** Rays per cell and side. */
const RAYS = 4;

export interface FeatureRequest {
  /** Cells. */
  readonly grid: { readonly h: number; readonly w: number };
  readonly imageSize: ImageSize;
  /** (3, 4) room frame → first camera. */
  readonly roomToWorld: Float64Array;
}

/**
 * Geometric descriptors of one view for feature distillation, see {@link FEATURE_CHANNELS}.
 * @returns (h, w, 64) row-major.
 */
export const renderFeatures = (
  scene: Scene,
  camera: SceneCamera,
  { grid, imageSize, roomToWorld }: FeatureRequest,
): Float32Array => {
  const size = { width: grid.w * RAYS, height: grid.h * RAYS, imageSize };
  const caster = castView(compileScene(scene), camera, size);
  const shader = new Shader(caster);
  const features = new Float32Array(grid.h * grid.w * FEATURE_CHANNELS);
  const one = new Float64Array(FEATURE_CHANNELS);
  for (let i = 0, k = 0; i < size.height; i++) {
    for (let j = 0; j < size.width; j++, k++) {
      describe({ caster, shader, roomToWorld, one }, k, j, i);
      const middle = (((i >> 2) << 2) + 2) * size.width + ((j >> 2) << 2) + 2;
      one[BOUNDARY] = caster.material[k] === caster.material[middle] ? 0 : 1;
      const cell = ((i >> 2) * grid.w + (j >> 2)) * FEATURE_CHANNELS;
      for (let c = 0; c < FEATURE_CHANNELS; c++) features[cell + c]! += one[c]! / (RAYS * RAYS);
    }
  }
  return features;
};

interface Descriptor {
  readonly caster: RayCaster;
  readonly shader: Shader;
  readonly roomToWorld: Float64Array;
  /** (64) written for one ray. */
  readonly one: Float64Array;
}

const describe = (
  { caster, shader, roomToWorld, one }: Descriptor,
  k: number,
  j: number,
  i: number,
) => {
  const { lens, depth, material, face } = caster;
  const x = (j + 0.5 - lens[1]!) / lens[0]!;
  const y = (i + 0.5 - lens[3]!) / lens[2]!;
  shader.shade(x, y, depth[k]!, material[k]!, face[k]!);
  const ray = [0, 1, 2].map((axis) => caster.direction(axis, x, y));
  const point = ray.map((part, axis) => caster.centre[axis]! + depth[k]! * part);
  const length = Math.hypot(...ray);
  one.fill(0);
  for (let axis = 0; axis < 3; axis++) {
    writePosition(one, axis, turn(roomToWorld, axis, point) + roomToWorld[4 * axis + 3]!);
    one[NORMAL + axis] = turn(roomToWorld, axis, shader.normal);
    one[ALBEDO + axis] = shader.albedo[axis]!;
    one[RAY + axis] = turn(roomToWorld, axis, ray) / length;
  }
  one[classChannel(caster, material[k]!)] = 1;
  one[DISTANCE] = 1 / (1 + depth[k]!);
  one[DISTANCE + 1] = Math.log(1 + depth[k]!);
  one[HEIGHT] = -point[1]! / 3;
};

const turn = (pose: Float64Array, row: number, vector: ArrayLike<number>): number =>
  pose[4 * row]! * vector[0]! + pose[4 * row + 1]! * vector[1]! + pose[4 * row + 2]! * vector[2]!;

const writePosition = (one: Float64Array, axis: number, value: number): void => {
  const start = axis * 2 * WAVELENGTHS.length;
  WAVELENGTHS.forEach((wavelength, k) => {
    const phase = (2 * Math.PI * value) / wavelength;
    one[start + 2 * k] = Math.sin(phase);
    one[start + 2 * k + 1] = Math.cos(phase);
  });
};

const classChannel = ({ compiled }: RayCaster, material: number): number => {
  if (material < FIRST_OBJECT_ID) return CLASS + OBJECT_KINDS.length + Math.min(material, 2);
  const instance = compiled.instances[material - FIRST_OBJECT_ID]!;
  const { kind } = compiled.scene.objects[instance - FIRST_OBJECT_ID]!;
  return CLASS + OBJECT_KINDS.indexOf(kind);
};
