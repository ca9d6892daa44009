import type { GraphFile, GraphResult } from '@spatialsv/core/kit';
import { SpatialError } from '@spatialsv/core/spec';
import { describeGraph } from './graph-names.js';
import type { NetworkImage } from './network-images.js';
import type { Plan } from './plan.js';

/** What a run gave, by name. */
export interface Outputs {
  readonly graph: GraphFile;
  readonly views: number;
  readonly results: Readonly<Record<string, GraphResult>>;
}

/** Runs the graph on the images of a request, all at once. */
export async function runGraph(
  graph: GraphFile,
  plan: Plan,
  images: readonly NetworkImage[],
  signal: AbortSignal | undefined,
): Promise<Outputs> {
  signal?.throwIfAborted();
  const inputs = { [plan.input.name]: stack(images, plan) };
  const results = await graph.run(inputs, wantedOutputs(plan));
  signal?.throwIfAborted();
  return { graph, views: images.length, results };
}

function stack(images: readonly NetworkImage[], { input }: Plan) {
  const { height, width, pixels } = images[0]!;
  const data = new Float32Array(images.length * pixels.length);
  for (const [view, image] of images.entries()) data.set(image.pixels, view * pixels.length);
  const shape = [images.length, 3, height, width];
  return { data, shape: input.rank === 5 ? [1, ...shape] : shape };
}

const wantedOutputs = ({ outputs }: Plan): string[] => {
  const { depth, points, depthConfidence, pose, extrinsics, intrinsics, sky, features } = outputs;
  const named = [depth, points, pose, extrinsics, sky, features].map((output) => output?.name);
  const names = [...named, depthConfidence, intrinsics].filter((name) => name !== undefined);
  return [...new Set(names)];
};

/**
 * Values of an output. Dimensions of 1 do not count, so that (1, V, H, W, 1), (V, 1, H, W) and (V, H, W)
 * are the same.
 * @param perView expected dimensions after that of the views.
 * @throws SpatialError DATA_INVALID when the output has another shape.
 */
export function readOutput(
  { graph, views, results }: Outputs,
  name: string,
  perView: readonly number[],
): Float32Array {
  const { shape, data } = results[name]!;
  const expected = [views, ...perView];
  if (squeeze(shape) === squeeze(expected)) return data as Float32Array;
  throw misshapen(graph, name, expected, shape);
}

const squeeze = (shape: readonly number[]): string => shape.filter((size) => size !== 1).join();

const misshapen = (
  graph: GraphFile,
  name: string,
  expected: readonly number[],
  found: readonly number[],
): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `${graph.path}: expected "${name}" to have (views, …) = (${expected.join(', ')}), found (${found.join(', ')}). ${describeGraph(graph)}`,
    hint: 'A graph that was traced for another number or size of images gives such results: write the right "views" and "input.size".',
  });
