export { type HeadAgreement, headAgreement } from './agreement.js';
export {
  type CameraEntry,
  type CameraFile,
  type CameraFit,
  cameraCentre,
  cameraFile,
  cameraToWorld,
  frustumSegments,
  type ViewCamera,
} from './cameras.js';
export { type CloudMetrics, cloudMetrics } from './cloud-metrics.js';
export { type ColorBar, type MapPainter, mapPainter } from './color-bar.js';
export {
  type ColorizeOptions,
  type ColorMapName,
  colorize,
  colorTable,
  type ValueRange,
  valueRange,
} from './color-map.js';
export {
  type CaseFigureInput,
  type CaseImage,
  type CaseRow,
  caseSvg,
} from './figures/case-figure.js';
export {
  type Cell,
  drawsText,
  type Figure,
  type FigureFiles,
  renderSvg,
  svgToPng,
  toCsv,
  writeFigure,
} from './figures/figure.js';
export {
  type PlotAxis,
  type ScatterInput,
  type SeriesInput,
  scatterPlot,
  seriesPlot,
} from './figures/plots.js';
export { encodeGlb, type GlbInput } from './glb.js';
export { encodeDepthPng16, encodeJpeg, placeSideBySide, rgbPng } from './images.js';
export { type LabelMetrics, labelMetrics } from './label-metrics.js';
export type { ColmapOptions } from './labels/colmap-model.js';
export {
  exportLabels,
  LABEL_FORMATS,
  type LabelExport,
  type LabelExportOptions,
  type LabelFile,
  type LabelFormat,
} from './labels/export-labels.js';
export type { LabelImage, LabelSet } from './labels/label-set.js';
export {
  type LiftFacts,
  type LiftPhoto,
  liftFacts,
  liftPhotos,
  readLift,
  type StoredLift,
  writeLift,
} from './lift-file.js';
export type { LiftSummary } from './lift-files.js';
export { type LiftOptions, type LiftResult, liftGeometry } from './lift-geometry.js';
export { colorizedPng, depthRangeOf } from './lift-images.js';
export type { LiftDialogue, LiftInput, LiftPredictions } from './lift-input.js';
export { encodePly } from './ply.js';
export {
  buildPointCloud,
  type CoveredRectangle,
  type PointCloud,
  type PointCloudInput,
  type PointCloudOptions,
} from './point-cloud.js';
export { liftQuality, QUALITY_MEASURES, type QualityMeasure, type QualityName } from './quality.js';
export type {
  PageAnswer,
  PageFact,
  PageQuestion,
  PageRun,
  PageTraining,
} from './report/format.js';
export type { Report, ReportScene, ScenePredictions } from './report/report.js';
export { type ReportServer, type ServeOptions, serveReport } from './report/serve-report.js';
export { type WriteReportOptions, type WrittenReport, writeReport } from './report/write-report.js';
export { camerasFromRays, camerasOfLabels, pointsFromCameras } from './view-cameras.js';
