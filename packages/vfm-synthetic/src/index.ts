export { benchRender, type RenderBenchmark } from './bench.js';
export { intrinsicsOf, roomToCamera } from './camera.js';
export { CATALOGUE, type CatalogueEntry } from './catalogue.js';
export { createScene, type SceneOptions } from './create-scene.js';
export {
  type DatasetOptions,
  type DatasetSummary,
  type MindCubeRow,
  writeDataset,
} from './dataset.js';
export { FEATURE_CHANNELS, renderFeatures } from './features.js';
export { type LabelRequest, renderLabels, SYNTHETIC_CONVENTIONS } from './labels.js';
export { syntheticSource } from './plugin.js';
export { CATEGORIES, type Category } from './question-categories.js';
export {
  AnswerBalance,
  type CategoryWeights,
  drawQuestions,
  type Question,
  type QuestionOptions,
} from './questions.js';
export {
  type GeometrySize,
  type RenderedView,
  renderGeometry,
  renderView,
  type ViewGeometry,
} from './render-view.js';
export {
  FIRST_OBJECT_ID,
  MOTIONS,
  type Motion,
  OBJECT_KINDS,
  type ObjectKind,
  type Room,
  type Scene,
  type SceneCamera,
  type SceneObject,
  SURFACES,
} from './scene.js';
export { readSceneFile, type SceneFile, writeSceneFile } from './scene-file.js';
export { createSyntheticSource, type SyntheticSourceOptions } from './source.js';
export { type Appearances, measureAppearances } from './visibility.js';
