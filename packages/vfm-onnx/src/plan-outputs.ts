import type { GraphFile, GraphValueInfo } from '@spatialsv/core/kit';
import { SpatialError } from '@spatialsv/core/spec';
import {
  describeGraph,
  findOutput,
  OUTPUT_NAMES,
  type OutputRole,
  unclear,
} from './graph-names.js';
import type { Manifest } from './manifest.js';

/** Which outputs are read, and what their numbers mean. */
export interface OutputsPlan {
  readonly depth?: {
    readonly name: string;
    readonly kind: 'z-depth' | 'ray-length';
    readonly canonicalFocal?: number;
  };
  readonly points?: { readonly name: string };
  readonly depthConfidence?: string;
  readonly pose?: { readonly name: string; readonly encoding: 'vggt-w2c' | 'da3-c2w' };
  readonly extrinsics?: { readonly name: string; readonly direction: 'w2c' | 'c2w' };
  readonly intrinsics?: string;
  readonly sky?: { readonly name: string; readonly threshold: number };
  readonly features?: {
    readonly name: string;
    readonly patch: number;
    readonly specialTokens: number;
  };
}

type Ports = Pick<GraphFile, 'path' | 'inputs' | 'outputs'>;
type Said = NonNullable<Manifest['outputs']>;

const DEFAULT_SKY_THRESHOLD = 0.5;

/**
 * @throws SpatialError CONFIG_INVALID for names and conventions that neither the user nor the graph tells;
 *   DTYPE_UNSUPPORTED for outputs that are not float32.
 */
export function planOutputs(graph: Ports, said: Said = {}): OutputsPlan {
  const surface = planSurface(graph, said);
  const confidence = optional(graph, 'depthConfidence', said.depthConfidence);
  const sky = optional(graph, 'sky', said.sky === false ? false : said.sky?.name);
  const features = said.features && named(graph, 'features', said.features.name);
  return {
    ...surface,
    ...planCameras(graph, said),
    ...(confidence ? { depthConfidence: confidence.name } : {}),
    ...(sky ? { sky: { name: sky.name, threshold: skyThreshold(said) } } : {}),
    ...(said.features && features ? { features: said.features } : {}),
  };
}

const skyThreshold = ({ sky }: Said): number =>
  (sky === false ? undefined : sky?.threshold) ?? DEFAULT_SKY_THRESHOLD;

function planSurface(graph: Ports, said: Said): Pick<OutputsPlan, 'depth' | 'points'> {
  if (said.points && said.depth) {
    throw unclear(
      graph,
      '"outputs" names depth and points',
      'Labels have one depth: name the output that it shall come from.',
    );
  }
  const depth = said.points ? undefined : named(graph, 'depth', said.depth?.name);
  if (depth === undefined) {
    const points = named(graph, 'points', said.points?.name);
    if (points !== undefined) return { points: { name: points.name } };
    throw unclear(
      graph,
      'no output is known to be depth',
      'Write "outputs": { "depth": { "name": …, "kind": "z-depth" or "ray-length" } }.',
    );
  }
  const kind = said.depth?.kind ?? usual(graph, 'depth', depth, 'z-depth', 'kind');
  const focal = said.depth?.canonicalFocal;
  return { depth: { name: depth.name, kind, ...(focal ? { canonicalFocal: focal } : {}) } };
}

/** A pose encoding, or matrices. Naming one of them settles which counts where a graph gives both. */
function planCameras(
  graph: Ports,
  said: Said,
): Pick<OutputsPlan, 'pose' | 'extrinsics' | 'intrinsics'> {
  const wantsMatrices = said.extrinsics !== undefined || said.intrinsics !== undefined;
  const pose = wantsMatrices && !said.pose ? undefined : named(graph, 'pose', said.pose?.name);
  const extrinsics = said.pose ? undefined : named(graph, 'extrinsics', said.extrinsics?.name);
  const intrinsics = said.pose ? undefined : named(graph, 'intrinsics', said.intrinsics);
  if (pose && (extrinsics || intrinsics)) throw twoCameras(graph, pose, extrinsics ?? intrinsics!);
  if (pose) {
    const encoding = said.pose?.encoding ?? usual(graph, 'pose', pose, 'vggt-w2c', 'encoding');
    return { pose: { name: pose.name, encoding } };
  }
  const direction =
    said.extrinsics?.direction ??
    (extrinsics && usual(graph, 'extrinsics', extrinsics, 'w2c', 'direction'));
  return {
    ...(extrinsics && direction ? { extrinsics: { name: extrinsics.name, direction } } : {}),
    ...(intrinsics ? { intrinsics: intrinsics.name } : {}),
  };
}

const twoCameras = (graph: Ports, pose: GraphValueInfo, matrix: GraphValueInfo): SpatialError =>
  unclear(
    graph,
    `${pose.name} and ${matrix.name} both give cameras`,
    'Name the ones that count: "outputs": { "pose": … }, or "extrinsics" and "intrinsics".',
  );

/** The convention that outputs of a known name have; nothing is guessed for other names. */
function usual<Convention extends string>(
  graph: Ports,
  role: OutputRole,
  { name }: GraphValueInfo,
  convention: Convention,
  key: string,
): Convention {
  const aliases: readonly string[] = OUTPUT_NAMES[role];
  if (aliases.includes(name)) return convention;
  throw unclear(
    graph,
    `nothing says which ${key} the ${role} "${name}" has`,
    `Write "outputs": { "${role}": { "name": "${name}", "${key}": … } }.`,
  );
}

const optional = (
  graph: Ports,
  role: OutputRole,
  said: string | false | undefined,
): GraphValueInfo | undefined => (said === false ? undefined : named(graph, role, said));

function named(
  graph: Ports,
  role: OutputRole | 'features',
  name: string | undefined,
): GraphValueInfo | undefined {
  const found = findOutput(graph, role, name);
  if (found === undefined || found.dtype === 'float32') return found;
  throw new SpatialError({
    code: 'DTYPE_UNSUPPORTED',
    message: `${graph.path}: the ${role} "${found.name}" is ${found.dtype}, expected float32. ${describeGraph(graph)}`,
    hint: 'Export the graph with float32 inputs and outputs; its weights may have 16 bits.',
  });
}
