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

/** Everything that the viewer draws, in y-up axes (x, −y, −z of the OpenCV world). */
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
  const { centre, radius } = sceneSphere(clouds, cameras);
  return {
    clouds: clouds.map(({ name, cloud }) => packCloud(name, cloud)),
    cameras: cameras.map((camera) => ({
      view: views.indexOf(camera),
      color: viewColor(views.indexOf(camera)),
      segments: [...frustumSegments(camera, frustumDepth)].map(yUp).map(short),
      centre: [...cameraToWorld(camera, [0, 0, 0])].map(yUp),
      forward: direction(camera).map(yUp),
      fovY: 2 * Math.atan(camera.height / (2 * camera.intrinsics[4]!)),
    })),
    centre,
    radius,
  };
}

const yUp = (value: number, i: number): number => (i % 3 === 0 ? value : -value);
const short = (value: number): number => Number(value.toPrecision(6));

function direction(camera: ViewCamera): number[] {
  const centre = cameraToWorld(camera, [0, 0, 0]);
  return cameraToWorld(camera, [0, 0, 1]).map((value, i) => value - centre[i]!);
}

function sceneSphere(clouds: readonly NamedCloud[], cameras: readonly ViewCamera[]) {
  const boxes = clouds.filter(({ cloud }) => cloud.positions.length > 0);
  const corners = boxes.flatMap(({ cloud }) => {
    const { min, max } = robustBounds(cloud);
    return [min, max];
  });
  corners.push(...cameras.map((camera) => [...cameraToWorld(camera, [0, 0, 0])] as never));
  const axis = (a: number) => corners.map((corner) => corner[a]!);
  const low = [0, 1, 2].map((a) => Math.min(...axis(a)));
  const high = [0, 1, 2].map((a) => Math.max(...axis(a)));
  if (corners.length === 0) return { centre: [0, 0, 0], radius: 1 };
  const centre = low.map((value, a) => (value + high[a]!) / 2).map(yUp);
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
      const code = (yUp(cloud.positions[source(k) + a]!, a) - origin[a]!) / step[a]!;
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
  const origin = [low[0]!, -high[1]!, -high[2]!];
  const step = high.map((value, a) => (value - low[a]!) / LARGEST_CODE || 1);
  return { origin, step };
}

/** Base64 of the bytes of a typed array (little endian on every platform that Node supports). */
export function base64(values: Uint16Array | Uint8Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');
}
