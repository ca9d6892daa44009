export {
  type BuiltInPlugin,
  type LoadedPlugin,
  loadPlugins,
  type PluginSearch,
  type PluginSet,
  type RejectedPlugin,
} from './load-plugins.js';
export { type ContributionKind, PLUGIN_API_VERSION } from './manifest.js';
export { createRegistry, type PluginRegistry } from './registry.js';
export {
  BACKBONE_ADAPTER,
  BENCHMARK,
  DATASET_FORMAT,
  GEOMETRY_HEAD,
  LABEL_SOURCE,
} from './tokens.js';
export type { KnownPlugin } from './unknown-plugin.js';
