import { radians } from './camera.js';
import { type Primitive, primitivesOf } from './catalogue.js';
import { FIRST_OBJECT_ID, type Scene } from './scene.js';

export const BOX = 0;
export const FRUSTUM = 1;
const ELLIPSOID = 2;

/** Numbers per solid in {@link CompiledScene.solids}: room-frame centre, cos and sin of the yaw, half extents. */
export const SOLID_STRIDE = 8;

/** A scene as flat arrays, ready for the ray caster. Solid s has material `FIRST_OBJECT_ID + s`. */
export interface CompiledScene {
  readonly count: number;
  readonly shapes: Uint8Array;
  readonly solids: Float64Array;
  /** Instance id of each solid's object. */
  readonly instances: Uint8Array;
  /** Half width, height, half depth of the room. */
  readonly room: readonly [number, number, number];
  readonly scene: Scene;
  readonly primitives: readonly Primitive[];
}

const SHAPES = { box: BOX, frustum: FRUSTUM, ellipsoid: ELLIPSOID } as const;

/** Places every solid of every object in the room. */
export const compileScene = (scene: Scene): CompiledScene => {
  const parts = scene.objects.map(primitivesOf);
  const primitives = parts.flat();
  const solids = new Float64Array(primitives.length * SOLID_STRIDE);
  const instances = new Uint8Array(primitives.length);
  let index = 0;
  scene.objects.forEach((object, k) => {
    const yaw = radians(object.yawDeg);
    for (const { centre, half } of parts[k]!) {
      const placed = place(centre, object.position, Math.cos(yaw), Math.sin(yaw));
      solids.set([...placed, Math.cos(yaw), Math.sin(yaw), ...half], index * SOLID_STRIDE);
      instances[index++] = FIRST_OBJECT_ID + k;
    }
  });
  return {
    count: primitives.length,
    shapes: Uint8Array.from(primitives, ({ shape }) => SHAPES[shape]),
    solids,
    instances,
    room: [scene.room.width / 2, scene.room.height, scene.room.depth / 2],
    scene,
    primitives,
  };
};

/** Object frame → room frame: x along (cos, 0, −sin), z along (sin, 0, cos). */
const place = (
  [x, y, z]: readonly [number, number, number],
  [px, pz]: readonly [number, number],
  cos: number,
  sin: number,
): [number, number, number] => [px + cos * x + sin * z, y, pz - sin * x + cos * z];
