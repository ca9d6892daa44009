import { degrees, wrapDegrees } from './camera.js';
import { FIRST_OBJECT_ID, type Scene, type SceneCamera } from './scene.js';

/** How one object shows in one view. */
export interface Appearance {
  /** Share of the image's pixels. */
  readonly share: number;
  /** Mean column of its pixels, 0 (left edge) to 1 (right edge); NaN when it does not show. */
  readonly column: number;
}

/** (views, objects) */
export type Appearances = readonly (readonly Appearance[])[];

/** Counts instance ids. @param instances (H, W) of each view. */
export const measureAppearances = (
  objects: number,
  views: readonly { readonly instances: Uint8Array; readonly width: number }[],
): Appearances => views.map((view) => measureView(objects, view));

const measureView = (
  objects: number,
  { instances, width }: { readonly instances: Uint8Array; readonly width: number },
): Appearance[] => {
  const pixels = new Float64Array(objects);
  const columns = new Float64Array(objects);
  for (let k = 0; k < instances.length; k++) {
    const object = instances[k]! - FIRST_OBJECT_ID;
    if (object < 0) continue;
    pixels[object]! += 1;
    columns[object]! += (k % width) + 0.5;
  }
  return Array.from(pixels, (count, object) => ({
    share: count / instances.length,
    column: columns[object]! / count / width,
  }));
};

/** Smallest share of the image at which an object counts as seen: 0.4 %, 200 pixels of 224 × 224. */
const SEEN_SHARE = 0.004;

export const isSeen = (appearances: Appearances, view: number, object: number): boolean =>
  appearances[view]![object]!.share >= SEEN_SHARE;

/** Point on the floor: x, z. */
type FloorPoint = readonly [number, number];

export const cameraPoint = ({ position }: SceneCamera): FloorPoint => [position[0], position[2]];

/**
 * Direction from `from` to `to`, relative to a heading: 0 ahead, 90 right, −90 left, 180 behind.
 * @param headingDeg yaw of the heading.
 */
export const bearing = (from: FloorPoint, headingDeg: number, to: FloorPoint): number =>
  wrapDegrees(degrees(Math.atan2(to[0] - from[0], to[1] - from[1])) - headingDeg);

export const distance = (a: FloorPoint, b: FloorPoint): number =>
  Math.hypot(a[0] - b[0], a[1] - b[1]);

/** Angle between two directions, 0..180 degrees. */
export const angleBetween = (a: number, b: number): number => Math.abs(wrapDegrees(a - b));

/** Radius of the circle around an object's footprint. */
export const footprintRadius = (scene: Scene, object: number): number => {
  const { size } = scene.objects[object]!;
  return Math.hypot(size[0], size[2]) / 2;
};
