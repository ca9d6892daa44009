import { describeProblem, readCheckpointConfig } from '@spatialsv/core/kit';
import { SpatialError } from '@spatialsv/core/spec';
import { z } from 'zod';

/** Sizes of a VGGT. The released model's are those of {@link RELEASED_VGGT}. */
export interface VggtConfig {
  /** Side in pixels of the image whose patches the position table holds. */
  readonly imageSize: number;
  /** Side of a patch in pixels. */
  readonly patchSize: number;
  /** C: channels of a token in the encoder and in the alternating blocks; the heads read 2·C. */
  readonly width: number;
  /** Register tokens, both of the encoder and of the alternating blocks. */
  readonly registers: number;
  readonly encoder: { readonly depth: number; readonly heads: number };
  /** `depth` frame blocks and as many global blocks. */
  readonly aggregator: { readonly depth: number; readonly heads: number };
  readonly camera: { readonly depth: number; readonly heads: number };
  readonly dense: {
    readonly features: number;
    readonly stageChannels: readonly [number, number, number, number];
    /** Steps of the alternating blocks that the dense heads read, shallow to deep. */
    readonly taps: readonly [number, number, number, number];
  };
  /** Whether the checkpoint has a point head. */
  readonly pointHead: boolean;
}

const size = z.int().positive();
const four = z.tuple([size, size, size, size]);
const tap = z.int().nonnegative();

/**
 * config.json as it is published (the first three keys and the switches), with further keys for other sizes, all of which
 * default to the released model.
 */
const fileSchema = z.object({
  img_size: size.default(518),
  patch_size: size.default(14),
  embed_dim: size.default(1024),
  enable_camera: z.literal(true).default(true),
  enable_depth: z.literal(true).default(true),
  enable_point: z.boolean().default(true),
  num_register_tokens: size.default(4),
  encoder_depth: size.default(24),
  encoder_heads: size.default(16),
  depth: size.default(24),
  num_heads: size.default(16),
  camera_depth: size.default(4),
  camera_heads: size.default(16),
  dpt_features: size.default(256),
  dpt_out_channels: four.default([256, 512, 1024, 1024]),
  dpt_layers: z.tuple([tap, tap, tap, tap]).default([4, 11, 17, 23]),
});

/**
 * Reads `config.json` of a checkpoint folder.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | CONFIG_INVALID.
 */
export const readVggtConfig = async (folder: string): Promise<VggtConfig> =>
  parseVggtConfig(await readCheckpointConfig(folder), `${folder}/config.json`);

/**
 * Parses the content of config.json; keys that it does not know are left to whoever wrote them.
 * @param where path of the file, for messages.
 * @throws SpatialError CONFIG_INVALID for ill-typed values and for sizes that do not fit together.
 */
export function parseVggtConfig(content: unknown, where = 'config.json'): VggtConfig {
  const parsed = fileSchema.safeParse(content);
  if (!parsed.success) throw invalidConfig(where, describeProblem(parsed.error));
  const file = parsed.data;
  const config = {
    imageSize: file.img_size,
    patchSize: file.patch_size,
    width: file.embed_dim,
    registers: file.num_register_tokens,
    encoder: { depth: file.encoder_depth, heads: file.encoder_heads },
    aggregator: { depth: file.depth, heads: file.num_heads },
    camera: { depth: file.camera_depth, heads: file.camera_heads },
    dense: {
      features: file.dpt_features,
      stageChannels: file.dpt_out_channels,
      taps: file.dpt_layers,
    },
    pointHead: file.enable_point,
  };
  requireFitting(config, where);
  return config;
}

/** Content of config.json that {@link parseVggtConfig} reads back. */
export const vggtConfigFile = (config: VggtConfig): Readonly<Record<string, unknown>> => ({
  img_size: config.imageSize,
  patch_size: config.patchSize,
  embed_dim: config.width,
  enable_point: config.pointHead,
  num_register_tokens: config.registers,
  encoder_depth: config.encoder.depth,
  encoder_heads: config.encoder.heads,
  depth: config.aggregator.depth,
  num_heads: config.aggregator.heads,
  camera_depth: config.camera.depth,
  camera_heads: config.camera.heads,
  dpt_features: config.dense.features,
  dpt_out_channels: config.dense.stageChannels,
  dpt_layers: config.dense.taps,
});

const invalidConfig = (where: string, problem: string): SpatialError =>
  new SpatialError({
    code: 'CONFIG_INVALID',
    message: `${where}: not a VGGT that can be run: ${problem}`,
    hint: 'Take config.json from the folder that the weights were published in.',
  });

function requireFitting(config: VggtConfig, where: string): void {
  const { width, dense } = config;
  const rules: readonly [boolean, string][] = [
    [config.imageSize % config.patchSize === 0, 'img_size is no multiple of patch_size'],
    [width % config.encoder.heads === 0, 'embed_dim is no multiple of encoder_heads'],
    [width % (4 * config.aggregator.heads) === 0, 'embed_dim is no multiple of 4 · num_heads'],
    [(2 * width) % config.camera.heads === 0, '2 · embed_dim is no multiple of camera_heads'],
    [dense.features % 8 === 0, 'dpt_features is no multiple of 8'],
    [dense.stageChannels.every((n) => n % 4 === 0), 'dpt_out_channels are no multiples of 4'],
    [dense.taps.every((i) => i < config.aggregator.depth), 'dpt_layers reach beyond depth'],
  ];
  for (const [isMet, problem] of rules) if (!isMet) throw invalidConfig(where, problem);
}

/** The released model, VGGT-1B. */
export const RELEASED_VGGT: VggtConfig = parseVggtConfig({});
