import type { GraphFile, GraphValueInfo } from '@spatialsv/core/kit';
import { SpatialError } from '@spatialsv/core/spec';
import { describeGraph, findInput, OUTPUT_NAMES, unclear } from './graph-names.js';
import type { Manifest, ResizeMethod } from './manifest.js';
import { type OutputsPlan, planOutputs } from './plan-outputs.js';

/** Size of the network's input: given, or the shape of the image in whole patches. */
export type NetworkSize =
  | { readonly height: number; readonly width: number }
  | { readonly multipleOf: number; readonly longestSide: number };

export interface InputPlan {
  readonly name: string;
  readonly rank: 4 | 5;
  readonly normalisation: 'unit' | 'imagenet';
  readonly size: NetworkSize;
  readonly resize: ResizeMethod;
  readonly fit: 'stretch' | 'centre-crop';
  readonly alpha: 'drop' | 'white';
}

/** Everything that decides how a graph is fed and read, nothing left open. */
export interface Plan {
  readonly input: InputPlan;
  /** Images of a request. */
  readonly views: number | 'any';
  readonly outputs: OutputsPlan;
  readonly fieldOfViewDegrees?: number;
  readonly pixelCentre: 'half' | 'integer';
  readonly scale: 'relative' | 'metric-metres';
}

type Ports = Pick<GraphFile, 'path' | 'inputs' | 'outputs'>;

type Family = Pick<InputPlan, 'normalisation' | 'size' | 'resize' | 'alpha'>;

/** How the authors of a network prepare images; both networks take patches of 14 pixels. */
const FAMILIES = {
  vggt: {
    normalisation: 'unit',
    size: { multipleOf: 14, longestSide: 518 },
    resize: 'pillow-bicubic',
    alpha: 'white',
  },
  da3: {
    normalisation: 'imagenet',
    size: { multipleOf: 14, longestSide: 504 },
    resize: 'opencv',
    alpha: 'drop',
  },
} as const satisfies Record<string, Family>;

/**
 * Completes what the user says by the names and the fixed dimensions of the graph.
 * @throws SpatialError CONFIG_INVALID for whatever neither of them tells, and where they disagree; DTYPE_UNSUPPORTED for
 *   images or results that are not float32; SHAPE_MISMATCH for an input that is no stack of RGB images.
 */
export function makePlan(graph: Ports, manifest: Manifest): Plan {
  const port = findInput(graph, manifest.input?.name);
  const outputs = planOutputs(graph, manifest.outputs);
  const shape = imageShape(graph, port, manifest.input?.rank);
  const views = planViews(graph, shape, outputs, manifest.views);
  assertCameras(graph, views, outputs, manifest);
  const family = familyOf(port, outputs);
  const size = planSize(graph, shape, manifest, family?.size);
  return {
    input: {
      name: port.name,
      rank: shape.rank,
      normalisation: planNormalisation(graph, manifest, family?.normalisation),
      size,
      resize: manifest.input?.resize ?? family?.resize ?? 'pillow-bicubic',
      fit: manifest.input?.fit ?? ('height' in size ? 'centre-crop' : 'stretch'),
      alpha: manifest.input?.alpha ?? family?.alpha ?? 'drop',
    },
    views,
    outputs,
    ...(manifest.fieldOfViewDegrees ? { fieldOfViewDegrees: manifest.fieldOfViewDegrees } : {}),
    pixelCentre: manifest.pixelCentre ?? usualPixelCentre(outputs),
    scale: manifest.scale ?? 'relative',
  };
}

/** VGGT counts pixels from 0 and puts the principal point at (W/2, H/2): vggt/utils/geometry.py and pose_enc.py. */
const usualPixelCentre = ({ pose }: OutputsPlan): Plan['pixelCentre'] =>
  pose?.encoding === 'vggt-w2c' ? 'integer' : 'half';

/** Dimensions of the image input; undefined where the graph leaves them open. */
interface ImageShape {
  readonly rank: 4 | 5;
  /** The first dimension of rank 4, the second of rank 5. */
  readonly views: number | undefined;
  readonly height: number | undefined;
  readonly width: number | undefined;
}

function imageShape(graph: Ports, port: GraphValueInfo, rank: 4 | 5 | undefined): ImageShape {
  if (port.dtype !== 'float32') throw notFloat(graph, port);
  const declared = port.shape.length === 0 && rank ? Array<number>(rank).fill(-1) : port.shape;
  const [channels, height, width] = declared.slice(-3) as [number, number, number];
  const batch = declared.length === 5 ? declared[0]! : 1;
  const isImage = [4, 5].includes(declared.length) && [3, -1].includes(channels);
  if (!isImage || ![1, -1].includes(batch) || (rank && rank !== declared.length)) {
    throw notImages(graph, port, rank);
  }
  const open = (size: number) => (size < 0 ? undefined : size);
  return {
    rank: declared.length as 4 | 5,
    views: open(declared.at(-4)!),
    height: open(height),
    width: open(width),
  };
}

const notFloat = (graph: Ports, { name, dtype }: GraphValueInfo): SpatialError =>
  new SpatialError({
    code: 'DTYPE_UNSUPPORTED',
    message: `${graph.path}: the images "${name}" are ${dtype}, expected float32. ${describeGraph(graph)}`,
    hint: 'Export the graph with float32 inputs and outputs; its weights may have 16 bits.',
  });

const notImages = (graph: Ports, { name }: GraphValueInfo, rank?: number): SpatialError =>
  new SpatialError({
    code: 'SHAPE_MISMATCH',
    message: `${graph.path}: expected "${name}" to be (1, views, 3, H, W) or (views, 3, H, W)${rank ? ` and of rank ${rank}` : ''}. ${describeGraph(graph)}`,
    hint: 'Images go in with their channels first. Where the graph does not say its rank, write "input": { "rank": 4 or 5 }.',
  });

function planViews(
  graph: Ports,
  shape: ImageShape,
  outputs: OutputsPlan,
  said: Plan['views'] | undefined,
): Plan['views'] {
  const hasCameras = outputs.pose !== undefined || outputs.extrinsics !== undefined;
  if (said === undefined) return shape.views ?? (hasCameras || shape.rank === 5 ? 'any' : 1);
  if (shape.views === undefined || shape.views === said) return said;
  throw unclear(
    graph,
    `"views" says ${said}, but the graph takes ${shape.views}`,
    'Leave "views" out: the graph itself tells how many images it was traced for.',
  );
}

/** Labels need the cameras of their views: from the graph, or, of an image alone, from the field of view. */
function assertCameras(
  graph: Ports,
  views: Plan['views'],
  { pose, extrinsics, intrinsics, points }: OutputsPlan,
  { fieldOfViewDegrees }: Manifest,
): void {
  if (!pose && !extrinsics && (views !== 1 || points)) {
    throw unclear(
      graph,
      'no output is known to say where the cameras are',
      'Write "outputs": { "extrinsics": { "name": …, "direction": "w2c" or "c2w" } }; or "views": 1 to label one ' +
        'image at a time.',
    );
  }
  const known = pose?.name ?? intrinsics;
  if (known !== undefined && fieldOfViewDegrees !== undefined) {
    throw unclear(
      graph,
      `"fieldOfViewDegrees" and ${known} both give intrinsics`,
      'Leave "fieldOfViewDegrees" out: it is for graphs that give no intrinsics.',
    );
  }
  if (known !== undefined || fieldOfViewDegrees !== undefined) return;
  throw unclear(
    graph,
    'no output is known to give intrinsics, which labels need',
    'Write "fieldOfViewDegrees": the horizontal field of view of your images (about 65 for a phone), or name the ' +
      'output: "outputs": { "intrinsics": … }.',
  );
}

function familyOf(port: GraphValueInfo, { pose, depth }: OutputsPlan): Family | undefined {
  const poses: readonly string[] = OUTPUT_NAMES.pose;
  if (pose?.encoding === 'vggt-w2c' && poses.includes(pose.name)) return FAMILIES.vggt;
  const isDa3 = port.name === 'pixel_values' && depth?.name === 'predicted_depth';
  return isDa3 ? FAMILIES.da3 : undefined;
}

function planNormalisation(
  graph: Ports,
  { input }: Manifest,
  usual: InputPlan['normalisation'] | undefined,
): InputPlan['normalisation'] {
  const normalisation = input?.normalisation ?? usual;
  if (normalisation !== undefined) return normalisation;
  throw unclear(
    graph,
    'nothing says how its images are normalised',
    'Write "input": { "normalisation": "unit" } (0 to 1, as VGGT) or "imagenet" (minus mean, by deviation, as Depth ' +
      'Anything 3).',
  );
}

function planSize(
  graph: Ports,
  { height, width }: ImageShape,
  { input }: Manifest,
  usual: NetworkSize | undefined,
): NetworkSize {
  const said = input?.size && definedSize(input.size);
  const fixed = height !== undefined && width !== undefined ? { height, width } : undefined;
  const size = said ?? fixed ?? usual;
  if (size === undefined) {
    throw unclear(
      graph,
      'nothing says which size its images have',
      'Write "input": { "size": { "multipleOf": 14, "longestSide": 504 } }, or { "height": …, "width": … }.',
    );
  }
  const agrees =
    'height' in size
      ? size.height === (height ?? size.height) && size.width === (width ?? size.width)
      : height === undefined && width === undefined;
  if (agrees) return size;
  throw unclear(
    graph,
    `"input.size" says ${JSON.stringify(size)}, but the graph takes ${height ?? '?'}×${width ?? '?'} (height×width)`,
    'Give the fixed sizes of the graph as "height" and "width", or leave "size" out.',
  );
}

/** The schema admits exactly these two forms. */
const definedSize = (said: NonNullable<NonNullable<Manifest['input']>['size']>): NetworkSize =>
  said.height !== undefined
    ? { height: said.height, width: said.width! }
    : { multipleOf: said.multipleOf!, longestSide: said.longestSide! };
