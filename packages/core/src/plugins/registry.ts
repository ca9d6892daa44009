import 'reflect-metadata';
import { container, type DependencyContainer, type InjectionToken } from 'tsyringe';
import { SpatialError } from '../errors.js';
import type {
  BackboneAdapterV1,
  BenchmarkV1,
  ContributionV1,
  DatasetFormatV1,
  GeometryHeadV1,
  LabelSourceV1,
} from '../spec.js';
import type { PluginSet } from './load-plugins.js';
import type { ContributionKind } from './manifest.js';
import {
  BACKBONE_ADAPTER,
  BENCHMARK,
  DATASET_FORMAT,
  GEOMETRY_HEAD,
  LABEL_SOURCE,
} from './tokens.js';
import { type KnownPlugin, type Offer, unknownId, unknownModelType } from './unknown-plugin.js';

const TOKENS: Readonly<Record<ContributionKind, InjectionToken<ContributionV1>>> = {
  'backbone-adapter': BACKBONE_ADAPTER as InjectionToken<ContributionV1>,
  'geometry-head': GEOMETRY_HEAD as InjectionToken<ContributionV1>,
  'label-source': LABEL_SOURCE as InjectionToken<ContributionV1>,
  'dataset-format': DATASET_FORMAT as InjectionToken<ContributionV1>,
  benchmark: BENCHMARK as InjectionToken<ContributionV1>,
};

/** The contributions of one run. Runs do not share state: each has its own child container. */
export interface PluginRegistry {
  /** For further registrations of the composition root. */
  readonly container: DependencyContainer;
  readonly plugins: PluginSet;
  /** Known plugins that are neither loaded nor rejected. */
  readonly notInstalled: readonly KnownPlugin[];
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
  resolveLabelSource(id: string): LabelSourceV1;
  /** @throws SpatialError PLUGIN_UNKNOWN. */
  resolveDatasetFormat(id: string): DatasetFormatV1;
  /** Every data set format, to find out which one a file is in. */
  datasetFormats(): readonly DatasetFormatV1[];
  /** @throws SpatialError PLUGIN_UNKNOWN. */
  resolveBenchmark(id: string): BenchmarkV1;
}

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

const ambiguous = (modelType: unknown, adapters: readonly BackboneAdapterV1[]): SpatialError =>
  new SpatialError({
    code: 'PLUGIN_INVALID',
    message: `several backbone adapters accept model_type ${JSON.stringify(modelType ?? null)}: ${adapters.map(({ id }) => id).join(', ')}`,
    hint: 'Name the adapter in the configuration, or remove one of the plugins.',
  });

/** What is registered in a container, and what to say of the rest. */
interface Stock extends Omit<Offer, 'kind' | 'known'> {
  readonly container: DependencyContainer;
}

const allOf = <Kind extends ContributionV1>(
  { container: from }: Stock,
  kind: ContributionKind,
): readonly Kind[] =>
  (from.isRegistered(TOKENS[kind]) ? from.resolveAll(TOKENS[kind]) : []) as Kind[];

const idsOf = (stock: Stock, kind: ContributionKind): readonly string[] =>
  allOf(stock, kind)
    .map(({ id }) => id)
    .sort();

const offerOf = (stock: Stock, kind: ContributionKind): Offer => ({
  ...{ kind, known: idsOf(stock, kind) },
  ...{ plugins: stock.plugins, notInstalled: stock.notInstalled },
});

const findById = <Kind extends ContributionV1>(
  stock: Stock,
  kind: ContributionKind,
  id: string,
): Kind => {
  const found = allOf<Kind>(stock, kind).find((contribution) => contribution.id === id);
  if (found) return found;
  throw unknownId(id, offerOf(stock, kind));
};

const findAdapter = (
  stock: Stock,
  config: Readonly<Record<string, unknown>>,
): BackboneAdapterV1 => {
  const kind = 'backbone-adapter';
  const accepting = allOf<BackboneAdapterV1>(stock, kind).filter((adapter) =>
    accepts(adapter, config),
  );
  const modelType = config['model_type'];
  if (accepting.length > 1) throw ambiguous(modelType, accepting);
  if (accepting[0]) return accepting[0];
  throw unknownModelType(modelType, offerOf(stock, kind));
};

/**
 * Registers loaded plugins in a child container of their own, by factory.
 * @param plugins what {@link loadPlugins} gave.
 * @param known packages whose name helps where what they give is missing.
 */
export const createRegistry = (
  plugins: PluginSet,
  known: readonly KnownPlugin[] = [],
): PluginRegistry => {
  const child = container.createChildContainer();
  for (const contribution of plugins.loaded.flatMap(({ contributions }) => contributions))
    child.register(TOKENS[contribution.kind], { useFactory: () => contribution });
  const found = new Set([...plugins.loaded, ...plugins.rejected].map(({ name }) => name));
  const notInstalled = known.filter(({ name }) => !found.has(name));
  const stock: Stock = { container: child, plugins, notInstalled };
  return {
    ...stock,
    ids: (kind) => idsOf(stock, kind),
    resolveBackboneAdapter: (configOrId) =>
      typeof configOrId === 'string'
        ? findById(stock, 'backbone-adapter', configOrId)
        : findAdapter(stock, configOrId),
    resolveGeometryHead: (id) => findById(stock, 'geometry-head', id),
    resolveLabelSource: (id) => findById(stock, 'label-source', id),
    resolveDatasetFormat: (id) => findById(stock, 'dataset-format', id),
    datasetFormats: () => allOf(stock, 'dataset-format'),
    resolveBenchmark: (id) => findById(stock, 'benchmark', id),
  };
};
