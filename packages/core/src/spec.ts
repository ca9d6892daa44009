/**
 * The contracts between SpatialSV and its plugins, version 1: types, and the little that a plugin needs to say what it is.
 * Importing this part loads nothing else.
 *
 * Dimension letters mean the same everywhere: V views, H W pixels, h w feature grid, T tokens, L decoder layers,
 * C channels, K vocabulary rows, P patches of one view.
 */
import type { BackboneAdapterV1 } from './backbone-spec.js';
import type { BenchmarkV1 } from './benchmark-spec.js';
import type { DatasetFormatV1 } from './dataset-spec.js';
import type { GeometryHeadV1 } from './geometry-head-spec.js';
import type { LabelSourceV1 } from './label-spec.js';

export { CodedError } from '@spatialsv/engine/errors';
export type * from './backbone-spec.js';
export type * from './benchmark-spec.js';
export * from './contribution-spec.js';
export type * from './dataset-spec.js';
export { type ErrorCode, SpatialError } from './errors.js';
export type { Finding } from './finding.js';
export type * from './geometry-head-spec.js';
export * from './label-spec.js';
export type * from './parameters-spec.js';
export type * from './sample-spec.js';

export type ContributionV1 =
  | BackboneAdapterV1
  | GeometryHeadV1
  | LabelSourceV1
  | DatasetFormatV1
  | BenchmarkV1;

export interface PluginV1 {
  readonly specificationVersion: 'v1';
  contributions(): readonly ContributionV1[];
}

export const definePlugin = (plugin: PluginV1): PluginV1 => plugin;
