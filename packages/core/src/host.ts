/**
 * What a program needs before it runs a model: finding and loading plugins, and reading data sets. No tensor library is loaded
 * by importing this part.
 */

export { BUILT_IN_PLUGIN_NAME, builtInContributions, builtInPlugin } from './built-in.js';
export {
  type DatasetFormats,
  type DatasetRequest,
  findDatasetFormat,
  readDataset,
  streamDataset,
} from './data/dataset.js';
export { type Explained, explainIssues, type IssuePath, keysBelow } from './explain-issues.js';
export { type FileKind, fileKind, readFileKind, UNKNOWN_KIND } from './file-kind.js';
export {
  collectFinding,
  type Finding,
  findingError,
  findingMessage,
  findingOf,
  findingsOf,
  requireNoErrors,
} from './finding.js';
export { namesIn as listFolder, recogniseFolder } from './foreign-folder.js';
export { readOptionalJson } from './kit/optional-file.js';
export { nearestName } from './nearest-name.js';
export { expandHome, resolvePath } from './paths.js';
export {
  BACKBONE_ADAPTER,
  BENCHMARK,
  type BuiltInPlugin,
  type ContributionKind,
  createRegistry,
  DATASET_FORMAT,
  GEOMETRY_HEAD,
  type KnownPlugin,
  LABEL_SOURCE,
  type LoadedPlugin,
  loadPlugins,
  PLUGIN_API_VERSION,
  type PluginRegistry,
  type PluginSearch,
  type PluginSet,
  type RejectedPlugin,
} from './plugins/index.js';
export { readYaml, type YamlText } from './yaml.js';
