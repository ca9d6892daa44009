import type { GeometryConventionsV1, RgbImage } from '@spatialsv/core';
import type { ViewCamera } from './cameras.js';

/** A box-shaped room (x, z ∈ ±2, y ∈ −1…1 m) seen from its middle by turning cameras, for tests of the writers. */
export interface TestScene {
  readonly conventions: GeometryConventionsV1;
  readonly views: number;
  readonly height: number;
  readonly width: number;
  readonly depth: Float32Array;
  readonly rays: Float32Array;
  readonly confidence: Float32Array;
  readonly images: RgbImage[];
  readonly cameras: ViewCamera[];
}

const CONVENTIONS: GeometryConventionsV1 = {
  axes: 'opencv',
  extrinsics: 'world-to-camera',
  pixelCentre: 'half',
  depth: 'z-depth',
  scale: 'metric-metres',
  world: 'first-camera',
};

/** Camera `view` stands 0.4·view to the right and is turned by 0.5·view rad about the vertical axis. */
export function testScene(views = 2, height = 24, width = 32): TestScene {
  const scene: TestScene = {
    conventions: CONVENTIONS,
    views,
    height,
    width,
    depth: new Float32Array(views * height * width),
    rays: new Float32Array(views * height * width * 6),
    confidence: new Float32Array(views * height * width),
    images: [],
    cameras: [],
  };
  for (let view = 0; view < views; view++) addView(scene, view);
  return scene;
}

function addView(scene: TestScene, view: number): void {
  const { height, width } = scene;
  const [c, s] = [Math.cos(0.5 * view), Math.sin(0.5 * view)];
  const origin = [0.4 * view, 0, 0] as const;
  const focal = 0.6 * width;
  const data = new Uint8Array(height * width * 3);
  for (let i = 0; i < height * width; i++) {
    const x = ((i % width) + 0.5 - width / 2) / focal;
    const y = (Math.floor(i / width) + 0.5 - height / 2) / focal;
    const direction = [c * x + s, y, c - s * x];
    const depth = wallDistance(origin, direction);
    const at = view * height * width + i;
    scene.depth[at] = depth;
    scene.confidence[at] = 1 + 4 * Math.exp(-(x * x + y * y) * 2);
    scene.rays.set([...origin, ...direction], at * 6);
    data.set(wallColor(origin.map((o, a) => o + depth * direction[a]!)), i * 3);
  }
  scene.images.push({ data, height, width });
  scene.cameras.push({
    intrinsics: Float32Array.of(focal, 0, width / 2, 0, focal, height / 2, 0, 0, 1),
    extrinsicsWorldToCamera: Float32Array.of(
      ...[c, 0, -s, -c * origin[0]],
      ...[0, 1, 0, 0],
      ...[s, 0, c, -s * origin[0]],
    ),
    width,
    height,
  });
}

function wallDistance(origin: readonly number[], direction: readonly number[]): number {
  const half = [2, 1, 2];
  const distances = direction.map((d, a) => (Math.sign(d) * half[a]! - origin[a]!) / d);
  return Math.min(...distances.filter((d) => d > 0));
}

function wallColor(point: readonly number[]): number[] {
  const square =
    (Math.floor(point[0]! * 2) + Math.floor(point[1]! * 2) + Math.floor(point[2]! * 2)) & 1;
  const base = [130 + 45 * point[0]!, 130 + 70 * point[1]!, 130 + 45 * point[2]!];
  return base.map((value) => Math.min(255, Math.max(0, value - 40 * square)));
}
