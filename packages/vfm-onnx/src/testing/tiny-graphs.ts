import type { Constant, GraphNode, OnnxGraph, Port } from './onnx-file.js';

/** Small graphs with the names and ranks of exports seen in the wild, whose results follow from the pixels by hand. */

const OPEN = -1;
const floats = (shape: readonly number[], values: readonly number[]): Constant => ({
  shape,
  floats: values,
});
const integers = (...values: number[]): Constant => ({ shape: [values.length], integers: values });

const add = (a: string, b: string, output: string): GraphNode => ({
  op: 'Add',
  inputs: [a, b],
  output,
});
const multiply = (a: string, b: string, output: string): GraphNode => ({
  op: 'Mul',
  inputs: [a, b],
  output,
});
const mean = (input: string, axes: string, output: string, keepdims = 0): GraphNode => ({
  op: 'ReduceMean',
  inputs: [input, axes],
  output,
  attributes: { keepdims },
});

export const IDENTITY = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0] as const;

export interface Da3Options {
  /** depth = base + gain · (mean of the channels). */
  readonly depth?: readonly [base: number, gain: number];
  /** Added to the pose, times the mean of all values of the view. */
  readonly motion?: readonly number[];
  readonly pose?: readonly number[];
  readonly intrinsics: readonly number[];
  readonly input?: readonly number[];
  /** Rows of an extrinsics matrix. */
  readonly rows?: 3 | 4;
}

/** Names and ranks of the community exports of Depth Anything 3: `pixel_values` (1, N, 3, H, W), all open. */
export const da3Graph = ({
  depth: [base, gain] = [3, 1],
  motion = [0, 0, 0, 0.5, 0, 0, 0, 0, 0, 0, 0, 0.25],
  pose = IDENTITY,
  intrinsics,
  input = [1, OPEN, 3, OPEN, OPEN],
  rows = 3,
}: Da3Options): OnnxGraph => {
  const fill = (values: readonly number[], last: readonly number[]) =>
    rows === 4 ? [...values, ...last] : values;
  return {
    inputs: [{ name: 'pixel_values', shape: input }],
    outputs: [
      { name: 'predicted_depth', shape: [1, OPEN, OPEN, OPEN] },
      { name: 'confidence', shape: [1, OPEN, OPEN, OPEN] },
      { name: 'extrinsics', shape: [1, OPEN, rows, 4] },
      { name: 'intrinsics', shape: [1, OPEN, 3, 3] },
    ],
    constants: {
      channels: integers(2),
      all: integers(2, 3, 4),
      perView: integers(1, -1, 1, 1),
      gain: floats([], [gain]),
      base: floats([], [base]),
      one: floats([], [1]),
      zero: floats([], [0]),
      motion: floats([1, 1, rows, 4], fill(motion, [0, 0, 0, 0])),
      pose: floats([1, 1, rows, 4], fill(pose, [0, 0, 0, 1])),
      k: floats([1, 1, 3, 3], intrinsics),
    },
    nodes: [
      mean('pixel_values', 'channels', 'grey'),
      multiply('grey', 'gain', 'scaled'),
      add('scaled', 'base', 'predicted_depth'),
      add('predicted_depth', 'one', 'confidence'),
      mean('pixel_values', 'all', 'brightness'),
      { op: 'Reshape', inputs: ['brightness', 'perView'], output: 'perViewBrightness' },
      multiply('perViewBrightness', 'motion', 'moved'),
      add('moved', 'pose', 'extrinsics'),
      multiply('perViewBrightness', 'zero', 'nothing'),
      add('nothing', 'k', 'intrinsics'),
    ],
  };
};

export interface VggtOptions {
  /** (2, 9). */
  readonly poses: readonly number[];
  readonly height: number;
  readonly width: number;
  readonly names?: Partial<Record<'pose_enc' | 'depth' | 'depth_conf', string>>;
  /** Added to depth, which is 1 + the mean of the channels otherwise. */
  readonly depthOffset?: number;
}

/** Names and ranks of the browser export of VGGT, traced for two views of one size. */
export const vggtGraph = ({
  poses,
  height,
  width,
  names,
  depthOffset = 0,
}: VggtOptions): OnnxGraph => {
  const { pose_enc = 'pose_enc', depth = 'depth', depth_conf = 'depth_conf' } = names ?? {};
  return {
    inputs: [{ name: 'images', shape: [1, 2, 3, height, width] }],
    outputs: [
      { name: pose_enc, shape: [1, 2, 9] },
      { name: depth, shape: [1, 2, height, width, 1] },
      { name: depth_conf, shape: [1, 2, height, width] },
    ],
    constants: {
      channels: integers(2),
      last: integers(4),
      one: floats([], [1]),
      offset: floats([], [1 + depthOffset]),
      poses: floats([1, 2, 9], poses),
    },
    nodes: [
      mean('images', 'channels', 'grey'),
      add('grey', 'offset', 'flat'),
      { op: 'Unsqueeze', inputs: ['flat', 'last'], output: depth },
      add('grey', 'one', depth_conf),
      { op: 'Identity', inputs: ['poses'], output: pose_enc },
    ],
  };
};

/** A single-view depth graph with a sky map: `image` (B, 3, H, W) → `depth`, `sky` (B, 1, H, W). Sky is red. */
export const monoGraph = (input: Partial<Port> = {}): OnnxGraph => ({
  inputs: [{ name: 'image', shape: [OPEN, 3, OPEN, OPEN], ...input }],
  outputs: ['depth', 'sky'].map((name) => ({ name, shape: [OPEN, 1, OPEN, OPEN] })),
  constants: { channels: integers(1), one: floats([], [1]), red: integers(0) },
  nodes: [
    mean(input.name ?? 'image', 'channels', 'grey', 1),
    add('grey', 'one', 'depth'),
    {
      op: 'Gather',
      inputs: [input.name ?? 'image', 'red'],
      output: 'sky',
      attributes: { axis: 1 },
    },
  ],
});
