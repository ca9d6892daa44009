import { Document, type Material, type Node, WebIO } from '@gltf-transform/core';
import { frustumSegments, type ViewCamera } from './cameras.js';
import type { PointCloud } from './point-cloud.js';

/** Primitive modes of glTF 2.0. */
const POINTS = 0;
const LINES = 1;

export interface GlbInput {
  readonly cloud: PointCloud;
  /** By view; a view without a camera gets no frustum. */
  readonly cameras?: readonly (ViewCamera | undefined)[];
  /** Length of the frusta in world units. */
  readonly frustumDepth?: number;
  /** Stated in `asset.extras`, for example the unit and the world frame. */
  readonly extras?: Readonly<Record<string, string>>;
}

/**
 * Binary glTF 2.0: one `POINTS` mesh with vertex colours, one `LINES` mesh and one perspective camera per view.
 * glTF is y-up with cameras that look along −z, our world is OpenCV (y down, z forward): positions are written as
 * (x, −y, −z), a rotation by 180° about x, stated in `asset.extras.axes`. Vertex colours are linear, as glTF asks.
 */
export async function encodeGlb(input: GlbInput): Promise<Uint8Array> {
  const document = new Document();
  document.getRoot().getAsset().generator = 'SpatialSV';
  document.getRoot().getAsset()['extras'] = {
    axes: 'glTF y-up: (x, -y, -z) of the OpenCV world (x right, y down, z forward)',
    ...input.extras,
  };
  const cameras = input.cameras ?? [];
  const hasPoints = input.cloud.positions.length > 0;
  // Buffers, scenes and accessors without elements are not valid glTF.
  if (!hasPoints && cameras.every((camera) => camera === undefined)) {
    return new WebIO().writeBinary(document);
  }
  document.createBuffer();
  const material = document.createMaterial('vertex-colours').setMetallicFactor(0);
  const scene = document.createScene('lifted');
  if (hasPoints) scene.addChild(pointNode(document, material, input.cloud));
  for (const [view, camera] of cameras.entries()) {
    if (camera === undefined) continue;
    scene.addChild(frustumNode(document, material, camera, view, input.frustumDepth ?? 0.25));
    scene.addChild(cameraNode(document, camera, view));
  }
  return new WebIO().writeBinary(document);
}

function pointNode(document: Document, material: Material, cloud: PointCloud): Node {
  const count = cloud.positions.length / 3;
  const colors = new Uint16Array(count * 4).fill(65535);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) colors[i * 4 + c] = linear(cloud.colors[i * 3 + c]!);
  }
  return mesh(document, material, 'points', POINTS, yUp(cloud.positions), colors);
}

function frustumNode(
  document: Document,
  material: Material,
  camera: ViewCamera,
  view: number,
  depth: number,
): Node {
  const positions = yUp(frustumSegments(camera, depth));
  const colors = new Uint16Array((positions.length / 3) * 4).fill(65535);
  const rgb = viewColor(view);
  for (let i = 0; i < colors.length; i++) if (i % 4 < 3) colors[i] = linear(rgb[i % 4]!);
  return mesh(document, material, `frustum-${view}`, LINES, positions, colors);
}

function mesh(
  document: Document,
  material: Material,
  name: string,
  mode: typeof POINTS | typeof LINES,
  positions: Float32Array<ArrayBuffer>,
  colors: Uint16Array<ArrayBuffer>,
): Node {
  const position = document.createAccessor().setType('VEC3').setArray(positions);
  const color = document.createAccessor().setType('VEC4').setArray(colors).setNormalized(true);
  const primitive = document
    .createPrimitive()
    .setMode(mode)
    .setMaterial(material)
    .setAttribute('POSITION', position)
    .setAttribute('COLOR_0', color);
  return document.createNode(name).setMesh(document.createMesh(name).addPrimitive(primitive));
}

/** A glTF camera at the view's pose: its axes are the OpenCV camera's turned by 180° about x, like the world's. */
function cameraNode(document: Document, camera: ViewCamera, view: number): Node {
  const e = camera.extrinsicsWorldToCamera;
  const flip = [1, -1, -1];
  const rotation = (r: number, c: number) => flip[r]! * e[c * 4 + r]! * flip[c]!;
  const centre = [0, 1, 2].map(
    (r) => -flip[r]! * (e[r]! * e[3]! + e[4 + r]! * e[7]! + e[8 + r]! * e[11]!),
  );
  const fy = camera.intrinsics[4]!;
  const perspective = document
    .createCamera(`view-${view}`)
    .setType('perspective')
    .setYFov(2 * Math.atan(camera.height / (2 * fy)))
    .setAspectRatio(camera.width / camera.height)
    .setZNear(0.01);
  // biome-ignore format: a matrix keeps its columns
  return document.createNode(`view-${view}`).setCamera(perspective).setMatrix([
    rotation(0, 0), rotation(1, 0), rotation(2, 0), 0,
    rotation(0, 1), rotation(1, 1), rotation(2, 1), 0,
    rotation(0, 2), rotation(1, 2), rotation(2, 2), 0,
    centre[0]!, centre[1]!, centre[2]!, 1,
  ]);
}

function yUp(positions: Float32Array): Float32Array<ArrayBuffer> {
  return Float32Array.from(positions, (value, i) => (i % 3 === 0 ? value : -value));
}

/** 16-bit code of the linear intensity of an 8-bit sRGB value (IEC 61966-2-1). */
function linear(code: number): number {
  const s = code / 255;
  return Math.round(65535 * (s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4));
}

const VIEW_COLORS = [
  [230, 85, 65],
  [60, 140, 230],
  [50, 170, 110],
  [225, 160, 40],
  [150, 95, 215],
  [30, 175, 185],
  [220, 90, 160],
  [130, 140, 60],
] as const;

/** sRGB colour that stands for a view in every figure. */
export function viewColor(view: number): readonly [number, number, number] {
  return VIEW_COLORS[view % VIEW_COLORS.length]!;
}
