import { cameraToWorld, frustumSegments, type ViewCamera } from '../cameras.js';
import { viewColor } from '../glb.js';
import { type PointCloud, robustBounds } from '../point-cloud.js';

/** A point cloud as the page carries it: 16-bit positions inside a box, 8-bit colours, both base64. */
export interface PackedCloud {
  readonly name: string;
  readonly count: number;
  /** World position of code 0, and size of one step, per axis. */
  readonly origin: readonly number[];
  readonly step: readonly number[];
  readonly positions: string;
  readonly colors: string;
}

/** Everything that the viewer draws, in y-up axes, turned so that the cameras' mean upward direction is y. */
export interface SceneData {
  readonly clouds: readonly PackedCloud[];
  readonly cameras: readonly {
    readonly view: number;
    readonly color: readonly number[];
    /** (n, 2, 3) line segments. */
    readonly segments: readonly number[];
    readonly centre: readonly number[];
    readonly forward: readonly number[];
    readonly fovY: number;
  }[];
  readonly centre: readonly number[];
  readonly radius: number;
}

export interface NamedCloud {
  readonly name: string;
  readonly cloud: PointCloud;
}

const PAGE_POINTS = 150_000;
const LARGEST_CODE = 65535;

/** Packs clouds and cameras for the page; clouds above 150 000 points are thinned evenly. */
export function packScene(
  clouds: readonly NamedCloud[],
  views: readonly (ViewCamera | undefined)[],
  frustumDepth: number,
): SceneData {
  const cameras = views.filter((camera) => camera !== undefined);
  const turn = upright(cameras);
  const turned = clouds.map(({ name, cloud }) => ({
    name,
    cloud: { ...cloud, positions: turnAll(turn, cloud.positions) },
  }));
  const centres = cameras.map((camera) => turnAll(turn, cameraToWorld(camera, [0, 0, 0])));
  const { centre, radius } = sceneSphere(turned, centres);
  return {
    clouds: turned.map(({ name, cloud }) => packCloud(name, cloud)),
    cameras: cameras.map((camera, i) => ({
      view: views.indexOf(camera),
      color: viewColor(views.indexOf(camera)),
      segments: [...turnAll(turn, frustumSegments(camera, frustumDepth))].map(short),
      centre: [...centres[i]!],
      forward: [...turnAll(turn, direction(camera, [0, 0, 1]))],
      fovY: 2 * Math.atan(camera.height / (2 * camera.intrinsics[4]!)),
    })),
    centre,
    radius,
  };
}

const short = (value: number): number => Number(value.toPrecision(6));

/** World direction of a direction of the camera. */
function direction(camera: ViewCamera, axis: readonly [number, number, number]): number[] {
  const centre = cameraToWorld(camera, [0, 0, 0]);
  return cameraToWorld(camera, axis).map((value, i) => value - centre[i]!);
}

/**
 * (3, 3) rotation from the OpenCV world to the axes of the page: (x, −y, −z), then the shortest turn of the cameras' mean
 * upward direction u onto y (Rodrigues: I + K + K² / (1 + u·y), K the cross-product matrix of u × y).
 */
function upright(cameras: readonly ViewCamera[]): number[] {
  const ups = cameras.map((camera) => direction(camera, [0, -1, 0]));
  const sum = [0, 1, 2].map((a) => ups.reduce((total, up) => total + up[a]!, 0));
  const length = Math.hypot(...sum);
  const [x, y, z] = length > 1e-6 ? sum.map((value) => value / length) : [0, -1, 0];
  const [u0, u1, u2] = [x!, -y!, -z!];
  // Cameras that are upside down on average would need a turn about an axis that nothing determines.
  const [a, b, c] = u1 > -0.99 ? [-u2, 0, u0] : [0, 0, 0];
  const k = [0, -c, b, c, 0, -a, -b, a, 0];
  const flip = [1, -1, -1];
  return Array.from({ length: 9 }, (_, i) => {
    const [row, column] = [Math.floor(i / 3), i % 3];
    const square = [0, 1, 2].reduce((t, m) => t + k[row * 3 + m]! * k[m * 3 + column]!, 0);
    return ((row === column ? 1 : 0) + k[i]! + square / (1 + u1 || 1)) * flip[column]!;
  });
}

function turnAll(turn: readonly number[], positions: ArrayLike<number>): Float32Array {
  const turned = new Float32Array(positions.length);
  for (let i = 0; i < positions.length; i += 3) {
    for (let row = 0; row < 3; row++) {
      turned[i + row] =
        turn[row * 3]! * positions[i]! +
        turn[row * 3 + 1]! * positions[i + 1]! +
        turn[row * 3 + 2]! * positions[i + 2]!;
    }
  }
  return turned;
}

function sceneSphere(clouds: readonly NamedCloud[], centres: readonly Float32Array[]) {
  const boxes = clouds.filter(({ cloud }) => cloud.positions.length > 0);
  const corners: ArrayLike<number>[] = boxes.flatMap(({ cloud }) => {
    const { min, max } = robustBounds(cloud);
    return [min, max];
  });
  corners.push(...centres);
  if (corners.length === 0) return { centre: [0, 0, 0], radius: 1 };
  const axis = (a: number) => corners.map((corner) => corner[a]!);
  const low = [0, 1, 2].map((a) => Math.min(...axis(a)));
  const high = [0, 1, 2].map((a) => Math.max(...axis(a)));
  const centre = low.map((value, a) => (value + high[a]!) / 2);
  return { centre, radius: Math.hypot(...low.map((value, a) => high[a]! - value)) / 2 || 1 };
}

function packCloud(name: string, cloud: PointCloud): PackedCloud {
  const total = cloud.positions.length / 3;
  const count = Math.min(total, PAGE_POINTS);
  const source = (k: number) => Math.floor((k * total) / count) * 3;
  const { origin, step } = quantiser(cloud);
  const positions = new Uint16Array(count * 3);
  const colors = new Uint8Array(count * 3);
  for (let k = 0; k < count; k++) {
    for (let a = 0; a < 3; a++) {
      const code = (cloud.positions[source(k) + a]! - origin[a]!) / step[a]!;
      positions[k * 3 + a] = Math.round(Math.min(LARGEST_CODE, Math.max(0, code)));
      colors[k * 3 + a] = cloud.colors[source(k) + a]!;
    }
  }
  return { name, count, origin, step, positions: base64(positions), colors: base64(colors) };
}

/** Far outliers are clamped to a box five times the robust one, so that the rest keeps its precision. */
function quantiser(cloud: PointCloud): { origin: number[]; step: number[] } {
  const { min, max } = robustBounds(cloud, 0.01);
  const low = min.map((value, a) => value - 2 * (max[a]! - value));
  const high = max.map((value, a) => value + 2 * (value - min[a]!));
  const step = high.map((value, a) => (value - low[a]!) / LARGEST_CODE || 1);
  return { origin: low, step };
}

/** Base64 of the bytes of a typed array (little endian on every platform that Node supports). */
export function base64(values: Uint16Array | Uint8Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');
}
