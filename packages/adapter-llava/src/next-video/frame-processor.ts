import path from 'node:path';
import {
  type ConfigFields,
  configFields,
  invalidField,
  isJsonObject,
  readCheckpointJson,
  readOptionalJson,
  readPixelStatistics,
} from '@spatialsv/core/kit';
import type { FrameConfig, FrameFit } from '../shared/frames.js';
import type { FixedTower } from '../shared/towers.js';

/**
 * Reads how frames are made: `video_processor` in processor_config.json (5.x), video_preprocessor_config.json, or else
 * preprocessor_config.json, as transformers looks for it.
 * @throws SpatialError FILE_MISSING | FILE_INVALID; CONFIG_INVALID for another resampling or normalisation than the
 *   family's, and for frames that do not have the tower's size.
 */
export async function readFrameConfig(
  folder: string,
  { imageSize, tower }: FixedTower,
  fit: FrameFit,
): Promise<FrameConfig> {
  const fields = await findProcessor(folder);
  const statistics = readPixelStatistics(fields);
  fields.require('do_center_crop', [true]);
  requireSize(fields, imageSize);
  return { ...statistics, size: imageSize, patchSize: tower.patch.size, fit };
}

async function findProcessor(folder: string): Promise<ConfigFields> {
  const nested = (await readOptionalJson(folder, 'processor_config.json'))?.['video_processor'];
  const at = (...names: readonly string[]) => path.join(folder, ...names);
  if (isJsonObject(nested))
    return configFields(nested, at('processor_config.json.video_processor'));
  const video = await readOptionalJson(folder, 'video_preprocessor_config.json');
  if (video !== undefined) return configFields(video, at('video_preprocessor_config.json'));
  const image = await readCheckpointJson(folder, 'preprocessor_config.json');
  return configFields(image, at('preprocessor_config.json'));
}

/** Size that transformers' class takes where its file says nothing. */
const DEFAULT_SIZE = 224;

/** The tower has positions for frames of one size. */
function requireSize(fields: ConfigFields, imageSize: number): void {
  const size = fields.child('size');
  const crop = fields.child('crop_size');
  const sides: readonly (readonly [key: string, found: number])[] = [
    ['size.shortest_edge', size?.positive('shortest_edge') ?? DEFAULT_SIZE],
    ['crop_size.height', crop?.positive('height') ?? DEFAULT_SIZE],
    ['crop_size.width', crop?.positive('width') ?? DEFAULT_SIZE],
  ];
  const other = sides.find(([, found]) => found !== imageSize);
  if (other === undefined) return;
  throw invalidField(
    `${fields.where}.${other[0]}`,
    `the image_size ${imageSize} of vision_config`,
    other[1],
  );
}
