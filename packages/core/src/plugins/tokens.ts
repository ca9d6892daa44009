import type { InjectionToken } from 'tsyringe';
import type {
  BackboneAdapterV1,
  BenchmarkV1,
  DatasetFormatV1,
  GeometryHeadV1,
  LabelSourceV1,
} from '../spec.js';

/** Injection tokens of contributions. `Symbol.for` keeps them equal across duplicate installs. */
export const BACKBONE_ADAPTER = Symbol.for(
  'spatialsv.backbone-adapter',
) as InjectionToken<BackboneAdapterV1>;

export const GEOMETRY_HEAD = Symbol.for(
  'spatialsv.geometry-head',
) as InjectionToken<GeometryHeadV1>;

export const LABEL_SOURCE = Symbol.for('spatialsv.label-source') as InjectionToken<LabelSourceV1>;

export const DATASET_FORMAT = Symbol.for(
  'spatialsv.dataset-format',
) as InjectionToken<DatasetFormatV1>;

export const BENCHMARK = Symbol.for('spatialsv.benchmark') as InjectionToken<BenchmarkV1>;
