/** What tiny checkpoints of the families with towers of one size share. */
import {
  type JsonObject,
  parseTinyConfig,
  type TinyModelOptions,
  type TinyTowerOptions,
  tinyTowerConfig,
} from '@spatialsv/core/kit';

/** What can be chosen beside the options that all families share. */
export interface NextVideoTinyOptions extends TinyModelOptions {
  readonly vision?: FixedTowerOptions;
}

export interface FixedTowerOptions extends TinyTowerOptions {
  /** Side of a frame in pixels. */
  readonly imageSize?: number;
}

/** `vision_config`. @param imageSize of a frame, where the options say nothing. */
export function fixedTowerConfig(options: NextVideoTinyOptions, imageSize: number): JsonObject {
  const { hidden_size, ...sizes } = tinyTowerConfig(options);
  const side = options.vision?.imageSize ?? imageSize;
  return { hidden_size, image_size: side, ...sizes, patch_size: 14 };
}

/** Reads the config.json of a tiny checkpoint. @throws SpatialError USAGE for sizes that do not fit together. */
export const parseTiny = <Config>(
  config: JsonObject,
  parse: (config: JsonObject, where: string) => Config,
): Config => parseTinyConfig(config, parse, 'a hidden size that is an even multiple of the heads');
