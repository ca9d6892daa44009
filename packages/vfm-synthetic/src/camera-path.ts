import type { Random } from '@spatialsv/core/kit';
import { SpatialError } from '@spatialsv/core/spec';
import { degrees, radians } from './camera.js';
import { round } from './round.js';
import type { Motion, SceneCamera } from './scene.js';

/** Points on the floor. */
export type FloorPoint = readonly [number, number];

/** A stretch of floor that stays free: everything nearer than `radius` to the segment. */
export interface KeepOut {
  readonly from: FloorPoint;
  readonly to: FloorPoint;
  readonly radius: number;
}

export interface CameraPath {
  readonly cameras: readonly SceneCamera[];
  readonly stepDeg: number;
  /** Where the cameras stand (rotation) or look (among, around). */
  readonly focus: FloorPoint;
  readonly headingDeg: number;
  readonly keepOut: readonly KeepOut[];
  /** Smallest half extent that the room needs. */
  readonly halfRoom: number;
  /** Objects of the surroundings are at least this far from the focus. */
  readonly clear: number;
}

export interface PathOptions {
  readonly motion: Motion;
  readonly views: number;
  readonly fovDeg: number;
  readonly stepDeg?: number;
}

/** Steps (degrees) that a motion may draw from, the widest turn allowed in all, and the default number of views. */
const STEPS: Readonly<Record<Motion, { steps: readonly number[]; widest: number; views: number }>> =
  {
    rotation: { steps: [90, 45], widest: 315, views: 4 },
    among: { steps: [90], widest: 270, views: 4 },
    around: { steps: [30, 60, 90], widest: 270, views: 3 },
  };

export const defaultViews = (motion: Motion): number => STEPS[motion].views;

/** Unit floor direction of a heading. */
export const headingVector = (yawDeg: number): FloorPoint => [
  Math.sin(radians(yawDeg)),
  Math.cos(radians(yawDeg)),
];

/** Draws the cameras of one motion. */
export const drawCameraPath = (random: Random, options: PathOptions): CameraPath => {
  const stepDeg = drawStep(random, options);
  const headingDeg = round(90 * random.integer(4) + drawTilt(random, options.motion), 2);
  const focus: FloorPoint = [round(random.uniform(-0.3, 0.3)), round(random.uniform(-0.3, 0.3))];
  const yaws = Array.from({ length: options.views }, (_, k) => round(headingDeg + stepDeg * k, 2));
  const eye = round(random.uniform(1.45, 1.65));
  const lens = { eye, fovDeg: options.fovDeg };
  return options.motion === 'rotation'
    ? turningPath(random, { focus, yaws, lens, stepDeg, headingDeg })
    : circlingPath(random, options.motion, { focus, yaws, lens, stepDeg, headingDeg });
};

interface PathFrame {
  readonly focus: FloorPoint;
  readonly yaws: readonly number[];
  readonly lens: { readonly eye: number; readonly fovDeg: number };
  readonly stepDeg: number;
  readonly headingDeg: number;
}

/** `among` is aligned with the walls, the other motions nearly so. */
const drawTilt = (random: Random, motion: Motion): number =>
  motion === 'among' ? 0 : random.uniform(-12, 12);

const drawStep = (random: Random, { motion, views, stepDeg }: PathOptions): number => {
  if (stepDeg !== undefined) return checkStep(stepDeg, views);
  const { steps, widest } = STEPS[motion];
  const fitting = steps.filter((step) => step * (views - 1) <= widest);
  const size = fitting.length > 0 ? random.pick(fitting) : 45;
  return motion === 'among' || random.uniform() < 0.5 ? size : -size;
};

const checkStep = (stepDeg: number, views: number): number => {
  if (stepDeg !== 0 && Math.abs(stepDeg) <= 90 && Math.abs(stepDeg) * (views - 1) < 360) {
    return stepDeg;
  }
  throw new SpatialError({
    code: 'CONFIG_INVALID',
    message: `stepDeg: expected a turn of at most 90 degrees and less than 360 over all ${views} views, found ${stepDeg}`,
    hint: 'Use a smaller step or fewer views, for example stepDeg 45 with 4 views.',
  });
};

const turningPath = (random: Random, frame: PathFrame): CameraPath => {
  const { focus, yaws, lens } = frame;
  const pitchDeg = round(random.uniform(8, 12), 2);
  return {
    ...frame,
    cameras: yaws.map((yawDeg) => ({
      position: [focus[0], -lens.eye, focus[1]],
      yawDeg,
      pitchDeg,
      fovDeg: lens.fovDeg,
    })),
    keepOut: [{ from: focus, to: focus, radius: 0.9 }],
    halfRoom: 2.6,
    clear: 1.3,
  };
};

const circlingPath = (random: Random, motion: Motion, frame: PathFrame): CameraPath => {
  const { focus, yaws, lens } = frame;
  const distance = motion === 'among' ? random.uniform(1.6, 1.9) : random.uniform(2.3, 2.7);
  const target = motion === 'among' ? random.uniform(0.55, 0.75) : random.uniform(0.75, 0.9);
  const pitchDeg = round(degrees(Math.atan2(lens.eye - target, distance)), 2);
  const cameras = yaws.map((yawDeg): SceneCamera => {
    const [x, z] = headingVector(yawDeg);
    const position = [
      round(focus[0] - distance * x),
      -lens.eye,
      round(focus[1] - distance * z),
    ] as const;
    return { position, yawDeg, pitchDeg, fovDeg: lens.fovDeg };
  });
  return {
    ...frame,
    cameras,
    keepOut: cameras.flatMap(({ position: [x, , z] }) => [
      { from: [x, z], to: [x, z], radius: 0.55 },
      { from: [x, z], to: focus, radius: 0.35 },
    ]),
    halfRoom: distance + (motion === 'among' ? 1.3 : 0.75),
    clear: 1.35,
  };
};
