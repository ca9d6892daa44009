import type { GeometryFieldV1 } from '@spatialsv/core/spec';

/** What commands, configurations and label stores call the source. */
export const SOURCE_ID = 'dav3';

/** What its labels hold where the settings leave nothing out. */
export const PROVIDES: readonly GeometryFieldV1[] = [
  'depth',
  'ray-map',
  'point-map',
  'camera',
  'feature',
];
