import { type GraphFile, type GraphResult, SpatialError } from '@spatialsv/core';
import { describeGraph } from './graph-names.js';
import type { NetworkPicture } from './pictures.js';
import type { Plan } from './plan.js';

/** Outputs of all views by name, each a list of float32 arrays in the order of the runs. */
export interface Outputs {
  readonly graph: GraphFile;
  /** Views of each run. */
  readonly viewsPerRun: number;
  readonly runs: readonly Readonly<Record<string, GraphResult>>[];
}

/** Runs the graph on all pictures, or on one after the other. */
export async function runGraph(
  graph: GraphFile,
  plan: Plan,
  pictures: readonly NetworkPicture[],
  signal: AbortSignal | undefined,
): Promise<Outputs> {
  const batches = plan.views === 'one' ? pictures.map((picture) => [picture]) : [pictures];
  const runs: Readonly<Record<string, GraphResult>>[] = [];
  for (const batch of batches) {
    signal?.throwIfAborted();
    runs.push(await graph.run({ [plan.input.name]: stack(batch, plan) }, wantedOutputs(plan)));
  }
  signal?.throwIfAborted();
  return { graph, viewsPerRun: batches[0]!.length, runs };
}

function stack(pictures: readonly NetworkPicture[], { input }: Plan) {
  const { height, width, pixels } = pictures[0]!;
  const data = new Float32Array(pictures.length * pixels.length);
  for (const [view, picture] of pictures.entries()) data.set(picture.pixels, view * pixels.length);
  const shape = [pictures.length, 3, height, width];
  return { data, shape: input.rank === 5 ? [1, ...shape] : shape };
}

const wantedOutputs = ({ outputs }: Plan): string[] => {
  const { depth, points, depthConfidence, pose, extrinsics, intrinsics, sky, features } = outputs;
  const named = [depth, points, pose, extrinsics, sky, features].map((output) => output?.name);
  const names = [...named, depthConfidence, intrinsics].filter((name) => name !== undefined);
  return [...new Set(names)];
};

/**
 * Values of an output for all views. Dimensions of 1 do not count, so that (1, V, H, W, 1), (V, 1, H, W) and (V, H, W)
 * are the same.
 * @param perView expected dimensions after that of the views.
 * @throws SpatialError DATA_INVALID when the output has another shape.
 */
export function readOutput(
  { graph, viewsPerRun, runs }: Outputs,
  name: string,
  perView: readonly number[],
): Float32Array {
  const count = perView.reduce((product, size) => product * size, viewsPerRun);
  const values = new Float32Array(runs.length * count);
  for (const [run, results] of runs.entries()) {
    const { shape, data } = results[name]!;
    const expected = [viewsPerRun, ...perView];
    if (squeeze(shape) !== squeeze(expected)) throw misshapen(graph, name, expected, shape);
    values.set(data as Float32Array, run * count);
  }
  return values;
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
    hint: 'A graph that was traced for another number or size of pictures gives such results: write the right "views" and "input.size".',
  });
