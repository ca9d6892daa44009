import 'reflect-metadata';
import { container, type DependencyContainer, type InjectionToken } from 'tsyringe';
import { SpatialError } from '../errors.js';
import { nearestName } from '../nearest-name.js';
import type {
  BackboneAdapterV1,
  BenchmarkV1,
  ContributionV1,
  DatasetFormatV1,
  GeometryHeadV1,
  SupervisionSourceV1,
} from '../spec.js';
import type { PluginSet } from './load-plugins.js';
import type { ContributionKind } from './manifest.js';
import {
  BACKBONE_ADAPTER,
  BENCHMARK,
  DATASET_FORMAT,
  GEOMETRY_HEAD,
  SUPERVISION_SOURCE,
} from './tokens.js';

const TOKENS: Readonly<Record<ContributionKind, InjectionToken<ContributionV1>>> = {
  'backbone-adapter': BACKBONE_ADAPTER as InjectionToken<ContributionV1>,
  'geometry-head': GEOMETRY_HEAD as InjectionToken<ContributionV1>,
  'supervision-source': SUPERVISION_SOURCE as InjectionToken<ContributionV1>,
  'dataset-format': DATASET_FORMAT as InjectionToken<ContributionV1>,
  benchmark: BENCHMARK as InjectionToken<ContributionV1>,
};

/** The contributions of one run. Runs do not share state: each has its own child container. */
export interface PluginRegistry {
  /** For further registrations of the composition root. */
  readonly container: DependencyContainer;
  readonly plugins: PluginSet;
  /** Ids of a kind, sorted. */
  ids(kind: ContributionKind): readonly string[];
  /**
   * @param configOrId parsed config.json of a checkpoint, or an adapter's id.
   * @throws SpatialError PLUGIN_UNKNOWN, listing what is known and what was rejected; PLUGIN_INVALID when several
   *   adapters accept the checkpoint.
   */
  resolveBackboneAdapter(configOrId: Readonly<Record<string, unknown>> | string): BackboneAdapterV1;
  /** @throws SpatialError PLUGIN_UNKNOWN. */
  resolveGeometryHead(id: string): GeometryHeadV1;
  /** @throws SpatialError PLUGIN_UNKNOWN. */
  resolveSupervisionSource(id: string): SupervisionSourceV1;
  /** @throws SpatialError PLUGIN_UNKNOWN. */
  resolveDatasetFormat(id: string): DatasetFormatV1;
  /** Every data set format, to find out which one a file is in. */
  datasetFormats(): readonly DatasetFormatV1[];
  /** @throws SpatialError PLUGIN_UNKNOWN. */
  resolveBenchmark(id: string): BenchmarkV1;
}

const describeRejected = ({ rejected }: PluginSet): string =>
  rejected.length === 0
    ? ''
    : ` Rejected: ${rejected.map(({ error }) => error.message).join('; ')}.`;

const unknown = (
  wanted: string,
  kind: ContributionKind,
  known: readonly string[],
  plugins: PluginSet,
  nearest?: string,
): SpatialError => {
  const list = known.length > 0 ? known.join(', ') : 'none';
  return new SpatialError({
    code: 'PLUGIN_UNKNOWN',
    message: `no ${kind} ${wanted}. Known: ${list}.${describeRejected(plugins)}`,
    hint: nearest
      ? `Did you mean "${nearest}"?`
      : 'Install a plugin that provides it and list it in the dependencies of your package.json.',
  });
};

/** An adapter that fails on a configuration is none for it, and does not hide the others. */
const accepts = (
  adapter: BackboneAdapterV1,
  config: Readonly<Record<string, unknown>>,
): boolean => {
  try {
    return adapter.accepts(config);
  } catch {
    return false;
  }
};

const ambiguous = (modelType: string, adapters: readonly BackboneAdapterV1[]): SpatialError =>
  new SpatialError({
    code: 'PLUGIN_INVALID',
    message: `several backbone adapters accept ${modelType}: ${adapters.map(({ id }) => id).join(', ')}`,
    hint: 'Name the adapter in the configuration, or remove one of the plugins.',
  });

/**
 * Registers loaded plugins in a child container of their own, by factory.
 * @param plugins what {@link loadPlugins} gave.
 */
export const createRegistry = (plugins: PluginSet): PluginRegistry => {
  const child = container.createChildContainer();
  for (const contribution of plugins.loaded.flatMap(({ contributions }) => contributions))
    child.register(TOKENS[contribution.kind], { useFactory: () => contribution });

  const all = <Kind extends ContributionV1>(kind: ContributionKind): readonly Kind[] =>
    (child.isRegistered(TOKENS[kind]) ? child.resolveAll(TOKENS[kind]) : []) as unknown as Kind[];
  const ids = (kind: ContributionKind): readonly string[] =>
    all(kind)
      .map(({ id }) => id)
      .sort();
  const byId = <Kind extends ContributionV1>(kind: ContributionKind, id: string): Kind => {
    const found = all<Kind>(kind).find((contribution) => contribution.id === id);
    if (found) return found;
    throw unknown(`"${id}"`, kind, ids(kind), plugins, nearestName(ids(kind), id));
  };
  const byConfig = (config: Readonly<Record<string, unknown>>): BackboneAdapterV1 => {
    const kind = 'backbone-adapter';
    const accepting = all<BackboneAdapterV1>(kind).filter((adapter) => accepts(adapter, config));
    const modelType = `model_type ${JSON.stringify(config['model_type'] ?? null)}`;
    if (accepting.length > 1) throw ambiguous(modelType, accepting);
    if (accepting[0]) return accepting[0];
    throw unknown(`accepts a checkpoint with ${modelType}`, kind, ids(kind), plugins);
  };
  return {
    container: child,
    plugins,
    ids,
    resolveBackboneAdapter: (configOrId) =>
      typeof configOrId === 'string' ? byId('backbone-adapter', configOrId) : byConfig(configOrId),
    resolveGeometryHead: (id) => byId('geometry-head', id),
    resolveSupervisionSource: (id) => byId('supervision-source', id),
    resolveDatasetFormat: (id) => byId('dataset-format', id),
    datasetFormats: () => all('dataset-format'),
    resolveBenchmark: (id) => byId('benchmark', id),
  };
};
