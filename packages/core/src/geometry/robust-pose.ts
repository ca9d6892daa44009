import { createRandom, type Random } from '../random.js';
import { determinant3, invert3, type Matrix3, multiply3, type Triple } from './matrix.js';
import { median } from './median.js';
import {
  type PoseFromRaysOptions,
  placed,
  type RayPose,
  weightedCentre,
} from './pose-from-rays.js';
import {
  cameraOfHomography,
  fitHomography,
  fitRotation,
  homographyOfFour,
  planeToPixels,
} from './ray-camera.js';
import { allRays, collectRays, type RaySet } from './ray-set.js';

export interface RobustPoseOptions extends PoseFromRaysOptions {
  readonly seed: number;
  /** Minimal sets that are tried at most. Default 128: with half of the rays wrong, all fail once in 4,000 runs. */
  readonly trials?: number;
  /** A ray agrees with a camera up to this angle. Default 5. */
  readonly inlierDeg?: number;
}

/** Camera on which most rays of a map agree. It has no skew. */
export interface RobustRayPose extends RayPose {
  /** Share of the usable rays that agree with the camera, 0 to 1. */
  readonly inlierShare: number;
  /** Root mean square angle between those rays and the camera's own, degrees. */
  readonly residualDeg: number;
  /** Median distance of their origins from the camera centre, in the unit of the rays. */
  readonly originSpread: number;
}

const DEGREES = 180 / Math.PI;
/** A homography has eight degrees of freedom, of which a direction gives two; a rotation has three. */
const MINIMAL = { homography: 4, rotation: 2 } as const;
/** Rays by which candidates are told apart; all of them count for what is fitted in the end. */
const SCORED_RAYS = 2000;
const ROUNDS = 10;
/** Origins of agreeing rays further from their median than so many median distances are left out. */
const ORIGIN_OUTLIER = 3;

/**
 * Camera of a ray map of which a part is wrong: RANSAC over minimal sets, scored by min(angle², limit²) weighted by the
 * confidence (MSAC), then least squares over the rays that agree, until these stay the same. Skew is left out and the
 * rotation solved again without it; the centre is the mean of the origins of agreeing rays, far ones left out.
 * @param rays (h, w, 6) of one view, origin then direction; the grid's cells tile the image.
 * @returns undefined when no set of rays determines a camera.
 * Equal input and seed give the same camera. Source: Torr and Zisserman (2000), MLESAC, section 4; Depth Anything 3 tries 100
 * sets of 8 at a limit of 0.2 in the plane, about 11°.
 */
export function robustPoseFromRays(
  rays: ArrayLike<number>,
  options: RobustPoseOptions,
): RobustRayPose | undefined {
  const usable = collectRays(rays, options.grid, options.confidence);
  const fit = fitterOf(usable, options);
  const limit = chordOf(options.inlierDeg ?? 5);
  const start = bestCandidate(usable, fit, limit, options);
  const agreeing = start && settle(usable, fit, limit, start);
  return agreeing && finish(usable, agreeing, options);
}

/** Squared distance of unit vectors at an angle: 2(1 − cos θ). */
const chordOf = (degrees: number): number => 2 * (1 - Math.cos(degrees / DEGREES));

interface Fitter {
  /** Rays that determine a camera. */
  readonly minimal: number;
  /** (3, 3) from the plane to directions, up to their lengths, by least squares. */
  readonly fit: (chosen: Int32Array) => number[] | undefined;
  /** The same of a minimal set. */
  readonly fitMinimal: (chosen: Int32Array) => number[] | undefined;
}

function fitterOf(rays: RaySet, options: PoseFromRaysOptions): Fitter {
  const { intrinsics } = options;
  if (intrinsics === undefined)
    return {
      minimal: MINIMAL.homography,
      fit: (chosen) => proper(fitHomography(rays, chosen)),
      fitMinimal: (chosen) => proper(homographyOfFour(rays, chosen)),
    };
  const toCamera = multiply3(invert3(intrinsics), planeToPixels(options));
  const fit = (chosen: Int32Array) => {
    const rotation = fitRotation(rays, chosen, toCamera);
    return rotation && multiply3(rotation, toCamera);
  };
  return { minimal: MINIMAL.rotation, fit, fitMinimal: fit };
}

/** A mirrored homography is no camera. */
const proper = (a: number[] | undefined): number[] | undefined =>
  a !== undefined && determinant3(a) > 0 ? a : undefined;

/** The best of the minimal sets and of the fit to all rays. */
function bestCandidate(
  rays: RaySet,
  { minimal, fit, fitMinimal }: Fitter,
  limit: number,
  { seed, trials = 128 }: RobustPoseOptions,
): number[] | undefined {
  if (rays.count < minimal) return undefined;
  const random = createRandom(seed);
  const scored = packed(
    rays,
    rays.count <= SCORED_RAYS ? allRays(rays) : drawn(random, rays.count, SCORED_RAYS),
  );
  let best: number[] | undefined;
  let score: Score = { cost: Infinity, share: 0 };
  const consider = (candidate: number[] | undefined) => {
    const found = candidate && scoreOf(scored, candidate, limit, score.cost);
    if (found !== undefined) [best, score] = [candidate, found];
  };
  consider(fit(allRays(rays)));
  for (let trial = 0; trial < Math.min(trials, trialsFor(score.share, minimal)); trial++)
    consider(fitMinimal(drawn(random, rays.count, minimal)));
  return best;
}

/** Trials after which a set of agreeing rays alone has been drawn, but for one case in a billion. */
const trialsFor = (share: number, minimal: number): number =>
  Math.log(1e-9) / Math.log1p(-(share ** minimal));

function drawn(random: Random, count: number, size: number): Int32Array {
  const rays = new Int32Array(size);
  for (let i = 0; i < size; i++) rays[i] = random.integer(count);
  return rays;
}

/** Place in the plane, direction and weight of a ray, one behind the other. */
const PACKED = 6;

/** (N, 6) of some rays: candidates are scored by reading on. */
function packed({ plane, direction, weight }: RaySet, chosen: Int32Array): Float64Array {
  const values = new Float64Array(PACKED * chosen.length);
  chosen.forEach((ray, i) => {
    values.set(plane.subarray(2 * ray, 2 * ray + 2), PACKED * i);
    values.set(direction.subarray(3 * ray, 3 * ray + 3), PACKED * i + 2);
    values[PACKED * i + 5] = weight[ray]!;
  });
  return values;
}

interface Score {
  /** Σ w · min(chord, limit). */
  readonly cost: number;
  /** Of the rays that agree. */
  readonly share: number;
}

/** @returns undefined as soon as the cost is not below `most`: it only grows. */
function scoreOf(scored: Float64Array, a: Matrix3, limit: number, most: number): Score | undefined {
  let [cost, agreeing] = [0, 0];
  for (let at = 0; at < scored.length; at += PACKED) {
    const chord = chordAt(a, scored, at, scored, at + 2);
    if (chord < limit) agreeing++;
    cost += scored[at + 5]! * Math.min(chord, limit);
    if (cost >= most) return undefined;
  }
  // Not a number, where a candidate is none.
  return cost < most ? { cost, share: (agreeing * PACKED) / scored.length } : undefined;
}

/** Squared distance between a unit direction (x, y, z at `from`) and that of the camera at a place (u, v at `at`) of the plane. */
function chordAt(
  a: Matrix3,
  plane: Float64Array,
  at: number,
  direction: Float64Array,
  from: number,
): number {
  const [u, v] = [plane[at]!, plane[at + 1]!];
  const x = a[0]! * u + a[1]! * v + a[2]!;
  const y = a[3]! * u + a[4]! * v + a[5]!;
  const z = a[6]! * u + a[7]! * v + a[8]!;
  const along = x * direction[from]! + y * direction[from + 1]! + z * direction[from + 2]!;
  // Not below zero by rounding.
  return Math.max(0, 2 * (1 - along / Math.sqrt(x * x + y * y + z * z)));
}

const chord = ({ plane, direction }: RaySet, ray: number, a: Matrix3): number =>
  chordAt(a, plane, 2 * ray, direction, 3 * ray);

/** Fits to what agrees, and looks again, until nothing changes. @returns the agreeing rays. */
function settle(
  rays: RaySet,
  { minimal, fit }: Fitter,
  limit: number,
  start: number[],
): Int32Array | undefined {
  const agreeing = (a: number[]) => agreeingRays(rays, a, limit);
  let chosen = agreeing(start);
  for (let round = 0; round < ROUNDS; round++) {
    const fitted = chosen.length < minimal ? undefined : fit(chosen);
    if (fitted === undefined) break;
    const next = agreeing(fitted);
    if (next.length === chosen.length && next.every((ray, i) => ray === chosen[i])) break;
    chosen = next;
  }
  return chosen.length < minimal ? undefined : chosen;
}

function agreeingRays(rays: RaySet, a: number[], limit: number): Int32Array {
  const found = new Int32Array(rays.count);
  let count = 0;
  for (let ray = 0; ray < rays.count; ray++) if (chord(rays, ray, a) < limit) found[count++] = ray;
  return found.subarray(0, count);
}

function finish(
  rays: RaySet,
  agreeing: Int32Array,
  options: PoseFromRaysOptions,
): RobustRayPose | undefined {
  const intrinsics = options.intrinsics ?? pinholeOf(rays, agreeing, options);
  if (intrinsics === undefined) return undefined;
  const toCamera = multiply3(invert3(intrinsics), planeToPixels(options));
  const rotation = fitRotation(rays, agreeing, toCamera);
  if (rotation === undefined) return undefined;
  const a = multiply3(rotation, toCamera);
  let squares = 0;
  for (const ray of agreeing) squares += (2 * Math.asin(Math.sqrt(chord(rays, ray, a)) / 2)) ** 2;
  const { centre, spread } = robustCentre(rays, agreeing);
  return {
    ...placed({ rotation, intrinsics: Array.from(intrinsics) }, centre),
    inlierShare: agreeing.length / rays.count,
    residualDeg: Math.sqrt(squares / agreeing.length) * DEGREES,
    originSpread: spread,
  };
}

function pinholeOf(
  rays: RaySet,
  agreeing: Int32Array,
  options: PoseFromRaysOptions,
): number[] | undefined {
  const homography = fitHomography(rays, agreeing);
  const camera = homography && cameraOfHomography(homography, options);
  return camera?.intrinsics.map((value, i) => (i === 1 ? 0 : value));
}

/** Mean of the origins that lie near their median, and the median distance from it. */
function robustCentre(rays: RaySet, chosen: Int32Array): { centre: Triple; spread: number } {
  const { origin } = rays;
  const axis = (c: number) => median(Float64Array.from(chosen, (ray) => origin[3 * ray + c]!));
  const [x, y, z] = [axis(0), axis(1), axis(2)];
  const distance = (ray: number) => {
    const [dx, dy, dz] = [origin[3 * ray]! - x, origin[3 * ray + 1]! - y, origin[3 * ray + 2]! - z];
    return Math.sqrt(dx * dx + dy * dy + dz * dz);
  };
  const spread = median(Float64Array.from(chosen, distance));
  const near = chosen.filter((ray) => distance(ray) <= ORIGIN_OUTLIER * spread);
  return { centre: weightedCentre(rays, near), spread };
}
