import { createRandom, type Random } from '@spatialsv/core/kit';
import { SpatialError } from '@spatialsv/core/spec';
import { type CameraPath, defaultViews, drawCameraPath } from './camera-path.js';
import { furnish } from './furnish.js';
import { drawRoom, type RoomSize } from './room-style.js';
import { round } from './round.js';
import { MOTIONS, type Motion, OBJECT_KINDS, type Scene, type SceneObject } from './scene.js';

export interface SceneOptions {
  /** Drawn from the seed where absent. */
  readonly motion?: Motion;
  /** 2..8 cameras; 4 (rotation, among) or 3 (around) where absent. */
  readonly views?: number;
  /** Number of objects, or the range to draw it from; 5..12. Default 7 to 10. */
  readonly objects?: number | readonly [number, number];
  /** Turn between neighbouring cameras in degrees, up to ±90; drawn from the motion's own set where absent. */
  readonly stepDeg?: number;
  /** Horizontal field of view in degrees, 40..100. Default 72. */
  readonly fovDeg?: number;
  /** `catalogue`: a kind always has the same colour and name. `shuffled`: colours change hands in every scene. */
  readonly colours?: 'catalogue' | 'shuffled';
  /** `fixed`: each wall has the same paint and pattern in every scene. */
  readonly walls?: 'random' | 'fixed';
}

const ATTEMPTS = 60;

/**
 * A furnished room with its cameras, a pure function of seed and options.
 * @throws SpatialError CONFIG_INVALID for options out of range.
 */
export const createScene = (seed: number, options: SceneOptions = {}): Scene => {
  const random = createRandom(seed);
  const motion = options.motion ?? random.pick(MOTIONS);
  const views = checkRange('views', options.views ?? defaultViews(motion), 2, 8);
  const fovDeg = checkRange('fovDeg', options.fovDeg ?? 72, 40, 100);
  const range = objectRange(options.objects ?? [7, 10]);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const scene = tryScene(random, seed, { ...options, motion, views, fovDeg, range, attempt });
    if (scene !== undefined) return scene;
  }
  throw new SpatialError({
    code: 'CONFIG_INVALID',
    message: `scene ${seed}: ${range[0]} to ${range[1]} objects and ${views} ${motion} cameras do not fit in a room`,
    hint: 'Ask for fewer objects or fewer views.',
  });
};

interface Draft extends Omit<SceneOptions, 'objects'> {
  readonly motion: Motion;
  readonly views: number;
  readonly fovDeg: number;
  readonly range: readonly [number, number];
  readonly attempt: number;
}

const tryScene = (random: Random, seed: number, draft: Draft): Scene | undefined => {
  const path = drawCameraPath(random, draft);
  const size = drawSize(random, path, draft.attempt);
  const count = draft.range[0] + random.integer(draft.range[1] - draft.range[0] + 1);
  const objects = furnish(random, size, path, {
    motion: draft.motion,
    count,
    colours: draft.colours ?? 'catalogue',
  });
  if (objects === undefined) return undefined;
  const room = drawRoom(random, size, draft.walls ?? 'random');
  return assemble(seed, draft.motion, path, objects, room);
};

const assemble = (
  seed: number,
  motion: Motion,
  { cameras, stepDeg }: CameraPath,
  objects: readonly SceneObject[],
  room: Scene['room'],
): Scene => ({
  seed,
  motion,
  stepDeg,
  room,
  objects,
  ...(motion === 'among' ? { centre: 0 } : {}),
  cameras,
});

/** The room grows with failed attempts, so that many objects find their place in the end. */
const drawSize = (random: Random, { halfRoom }: CameraPath, attempt: number): RoomSize => {
  const grown = halfRoom + 0.03 * attempt;
  return {
    halfX: round(grown + random.uniform(0.3, 0.8)),
    halfZ: round(grown + random.uniform(0.3, 0.8)),
  };
};

const objectRange = (objects: number | readonly [number, number]): readonly [number, number] => {
  const [low, high] = typeof objects === 'number' ? [objects, objects] : objects;
  checkInteger('objects', low);
  checkRange('objects', high, 5, OBJECT_KINDS.length);
  return [checkRange('objects', low, 5, high), checkInteger('objects', high)];
};

const checkInteger = (name: string, value: number): number => {
  if (Number.isInteger(value)) return value;
  throw invalid(name, 'a whole number', value);
};

const checkRange = (name: string, value: number, low: number, high: number): number => {
  if (name === 'views') checkInteger(name, value);
  if (value >= low && value <= high) return value;
  throw invalid(name, `${low} to ${high}`, value);
};

const invalid = (name: string, expected: string, found: number): SpatialError =>
  new SpatialError({
    code: 'CONFIG_INVALID',
    message: `${name}: expected ${expected}, found ${found}`,
    hint: `Set ${name} to ${expected}.`,
  });
