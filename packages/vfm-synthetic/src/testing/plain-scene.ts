import type { Material, Scene, SceneCamera, SceneObject } from '../scene.js';

const paint: Material = {
  texture: 'plain',
  colour: [0.8, 0.8, 0.8],
  second: [0.5, 0.5, 0.5],
  scale: 0.5,
  glow: 0,
};

/** A camera at eye height that looks level along a heading. */
export const levelCamera = (
  [x, z]: readonly [number, number],
  yawDeg: number,
  options: Partial<SceneCamera> = {},
): SceneCamera => ({ position: [x, -1.5, z], yawDeg, pitchDeg: 0, fovDeg: 90, ...options });

/** A 6 × 8 × 2.6 m room with given objects. */
export const plainScene = (
  objects: readonly SceneObject[],
  cameras: readonly SceneCamera[] = [levelCamera([0, 0], 0)],
): Scene => ({
  seed: 0,
  motion: 'rotation',
  stepDeg: 90,
  room: {
    width: 6,
    depth: 8,
    height: 2.6,
    materials: Array.from({ length: 6 }, () => paint),
    decor: [],
    light: [0, -2.3, 0],
  },
  objects,
  cameras,
});

export const ballAt = (position: readonly [number, number], diameter = 1): SceneObject => ({
  name: 'purple ball',
  kind: 'ball',
  colour: [0.5, 0.2, 0.7],
  position,
  yawDeg: 0,
  size: [diameter, diameter, diameter],
});

export const boxAt = (position: readonly [number, number], yawDeg = 0): SceneObject => ({
  name: 'cyan box',
  kind: 'box',
  colour: [0.2, 0.7, 0.8],
  position,
  yawDeg,
  size: [1, 2, 1],
});
