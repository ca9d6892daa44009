import path from 'node:path';
import { type GraphFile, hashFiles, openGraph, readImage } from '@spatialsv/core/kit';
import {
  GEOMETRY_FIELDS,
  type GeometryLabelsV1,
  type LabellerV1,
  type LabelProvenanceV1,
  type LabelRequestV1,
  type OpenSourceOptions,
  SpatialError,
} from '@spatialsv/core/spec';
import { SOURCE_ID } from './identity.js';
import { makeLabels } from './labels.js';
import { type Manifest, mergeManifests, parseManifest } from './manifest.js';
import { prepareImages } from './network-images.js';
import { locate } from './open-files.js';
import { makePlan, type Plan } from './plan.js';
import { runGraph } from './run-graph.js';

/** Opens a graph as the source of labels that `onnxSource` contributes. */
export async function openOnnxSource({
  weights,
  device,
  settings,
}: OpenSourceOptions = {}): Promise<LabellerV1> {
  const located = await locate(weights);
  const manifest = mergeManifests(
    located.manifest,
    parseManifest(settings ?? {}, 'settings of the source onnx'),
  );
  const graph = await openGraph(located.graph, device === undefined ? {} : { device });
  try {
    const plan = makePlan(graph, manifest);
    const provenance = await describeOrigin(graph, plan, manifest);
    return createLabeller(graph, plan, provenance);
  } catch (error) {
    await graph.dispose();
    throw error;
  }
}

async function describeOrigin(
  graph: GraphFile,
  plan: Plan,
  manifest: Manifest,
): Promise<LabelProvenanceV1> {
  return {
    source: SOURCE_ID,
    model: manifest.model ?? path.basename(graph.path, '.onnx'),
    settings: { ...plan },
    weightsSha256: await hashFiles(graph.files),
    licence: manifest.licence ?? { name: 'unknown', commercialUse: false },
  };
}

const createLabeller = (
  graph: GraphFile,
  plan: Plan,
  provenance: LabelProvenanceV1,
): LabellerV1 => ({
  sourceId: SOURCE_ID,
  provides: GEOMETRY_FIELDS.filter(
    (field) => field !== 'feature' || plan.outputs.features !== undefined,
  ),
  provenance,
  doLabel: (request) => labelViewSet(graph, plan, request),
  dispose: () => graph.dispose(),
});

async function labelViewSet(
  graph: GraphFile,
  plan: Plan,
  { images, height, width, signal }: LabelRequestV1,
): Promise<GeometryLabelsV1> {
  signal?.throwIfAborted();
  assertViews(graph, plan, images.length);
  const read = await Promise.all(
    images.map((image) => readImage(image, { alpha: plan.input.alpha })),
  );
  signal?.throwIfAborted();
  const prepared = prepareImages(read, plan.input);
  const outputs = await runGraph(graph, plan, prepared, signal);
  return makeLabels(plan, prepared, outputs, {
    ...(height === undefined ? {} : { height }),
    ...(width === undefined ? {} : { width }),
  });
}

/** A graph that was traced for some number of views gives wrong results for another, mostly without an error. */
function assertViews({ path: file }: GraphFile, { views }: Plan, given: number): void {
  if (views === 'any' ? given > 0 : given === views) return;
  const expected =
    views === 'any'
      ? 'images'
      : `${views} image${views === 1 ? '' : 's'}, as many as it was traced for`;
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `${file}: expected ${expected}, found ${given}`,
    hint:
      views === 1
        ? 'This graph knows of no cameras between images: label one image at a time.'
        : 'Give as many images as the graph was traced for, or export it for this number of views.',
  });
}
