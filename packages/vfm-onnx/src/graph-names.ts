import { type GraphFile, type GraphValueInfo, nearestName } from '@spatialsv/core/kit';
import { SpatialError } from '@spatialsv/core/spec';

/** Names that exporters of VGGT and Depth Anything 3 are known to give to their values. */
const INPUT_NAMES = ['images', 'image', 'pixel_values', 'input', 'x'] as const;
export const OUTPUT_NAMES = {
  depth: ['depth', 'predicted_depth', 'depth_map', 'metric_depth', 'output'],
  points: ['world_points', 'point_map'],
  depthConfidence: ['depth_conf', 'confidence', 'conf', 'depth_confidence'],
  pose: ['pose_enc', 'pose_encoding'],
  extrinsics: ['extrinsics', 'extrinsics_out'],
  intrinsics: ['intrinsics', 'intrinsics_out'],
  sky: ['sky'],
} as const;
export type OutputRole = keyof typeof OUTPUT_NAMES;

type Ports = Pick<GraphFile, 'path' | 'inputs' | 'outputs'>;

const describePort = ({ name, dtype, shape }: GraphValueInfo): string =>
  `${name} ${dtype} (${shape.map((n) => (n < 0 ? '?' : n)).join(', ')})`;

/** One line that lists what a graph takes and gives. */
export const describeGraph = ({ inputs, outputs }: Ports): string =>
  `The graph has the inputs ${inputs.map(describePort).join(', ')} and the outputs ${outputs.map(describePort).join(', ')}.`;

/** A graph that cannot be understood from what is known about it. `hint` says what to write. */
export const unclear = (graph: Ports, problem: string, hint: string): SpatialError =>
  new SpatialError({
    code: 'CONFIG_INVALID',
    message: `${graph.path}: ${problem}. ${describeGraph(graph)}`,
    hint,
  });

/**
 * The output that plays a role: the one that was named, or the only one that has a known name.
 * @param key what the user writes to name it, for messages.
 * @throws SpatialError CONFIG_INVALID for a name that the graph does not have, and where two outputs could be meant.
 */
export function findOutput(
  graph: Ports,
  role: OutputRole | 'features',
  named: string | undefined,
): GraphValueInfo | undefined {
  const key = `outputs.${role}`;
  if (named !== undefined) return find(graph, graph.outputs, named, key);
  const aliases: readonly string[] = role === 'features' ? [] : OUTPUT_NAMES[role];
  const found = graph.outputs.filter(({ name }) => aliases.includes(name));
  if (found.length <= 1) return found[0];
  const names = found.map(({ name }) => name).join(' and ');
  throw unclear(graph, `${names} could both be the ${role}`, `Write "${key}": name the right one.`);
}

/**
 * The image input: the one that was named, the only one of rank 4 or 5, or the only one of those with a known name.
 * @throws SpatialError CONFIG_INVALID when there is none or more than one, or when the graph needs other inputs too.
 */
export function findInput(graph: Ports, named: string | undefined): GraphValueInfo {
  const found =
    named === undefined ? guessInput(graph) : find(graph, graph.inputs, named, 'input.name');
  const others = graph.inputs.filter(({ name }) => name !== found.name);
  if (others.length === 0) return found;
  throw unclear(
    graph,
    `besides images it needs ${others.map(({ name }) => name).join(', ')}`,
    'This source feeds images alone: export the graph without further inputs.',
  );
}

function guessInput(graph: Ports): GraphValueInfo {
  const shaped = graph.inputs.filter(
    ({ dtype, shape }) => dtype.startsWith('float') && [4, 5].includes(shape.length),
  );
  const aliases: readonly string[] = INPUT_NAMES;
  const known = graph.inputs.filter(({ name }) => aliases.includes(name));
  const candidates = shaped.length === 1 ? shaped : known;
  if (candidates.length === 1) return candidates[0]!;
  throw unclear(
    graph,
    `${candidates.length} inputs could be the images, expected one`,
    'Write "input": { "name": … } in the description of the graph.',
  );
}

function find(
  graph: Ports,
  among: readonly GraphValueInfo[],
  name: string,
  key: string,
): GraphValueInfo {
  const found = among.find((value) => value.name === name);
  if (found !== undefined) return found;
  const near = nearestName(
    among.map((value) => value.name),
    name,
  );
  throw unclear(
    graph,
    `${key} names "${name}", which there is not`,
    near === undefined ? `Write one of the names above for "${key}".` : `Did you mean "${near}"?`,
  );
}
