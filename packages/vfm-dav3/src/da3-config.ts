import { describeProblem, readCheckpointConfig } from '@spatialsv/core/kit';
import { type LabelLicenceV1, SpatialError } from '@spatialsv/core/spec';
import { z } from 'zod';
import { DA3_VARIANTS, type Four, VITS, variantOf } from './da3-variants.js';

/** The vision transformer. */
export interface BackboneConfig {
  readonly channels: number;
  readonly depth: number;
  readonly heads: number;
  readonly mlp: 'gelu' | 'swiglu';
  /** Hidden width of the MLP: of each of its two halves for `swiglu`. */
  readonly hidden: number;
  /** Patches on a side of the grid that the position table was learnt on. */
  readonly baseGrid: number;
  /** Blocks whose outputs the heads read. */
  readonly taps: Four;
  /**
   * First block with normalised queries and keys and rotary positions. From it on, blocks of odd number attend over all
   * views. Absent in networks that look at one image.
   */
  readonly crossViewStart?: number;
  /** A tap holds the state after the latest block within views beside the state itself: 2C channels. */
  readonly concatenates: boolean;
}

/** The dense head: `dual` gives depth and rays with confidences, `mono` depth and sky. */
export interface HeadConfig {
  readonly kind: 'dual' | 'mono';
  readonly features: number;
  /** Channels of the four pyramid stages. */
  readonly stages: Four;
}

/** Turns known cameras into the special tokens of their views. */
export interface CameraEncoderConfig {
  readonly heads: number;
  readonly depth: number;
}

export interface NetworkConfig {
  readonly backbone: BackboneConfig;
  readonly head: HeadConfig;
  /** Present with the `dual` head. */
  readonly cameraEncoder?: CameraEncoderConfig;
}

export type Da3Kind = 'any-view' | 'mono' | 'metric' | 'nested';

export interface Da3Config {
  /** As in config.json, for example `da3-small`. */
  readonly modelName: string;
  readonly kind: Da3Kind;
  /** Depth, rays and cameras of any number of views; absent in `mono` and `metric`. */
  readonly anyView?: NetworkConfig;
  /** Depth and sky of one view; absent in `any-view`. */
  readonly single?: NetworkConfig;
  /** Of the released weights. */
  readonly licence: LabelLicenceV1;
}

/** Side of a patch in pixels. */
export const PATCH = 14;
/** Channels before the last convolution of every output. */
export const OUTPUT_HIDDEN = 32;

/** Channels of a tap. */
export const tapChannels = ({ channels, concatenates }: BackboneConfig): number =>
  concatenates ? 2 * channels : channels;

const whole = z.int().positive();
const four = z.tuple([whole, whole, whole, whole]);
const block = z.int().nonnegative();
const start = z.int().min(-1).default(-1);

/** `net` of config.json. The keys behind `cat_token` are for other sizes than the released ones. */
const netSchema = z.object({
  name: z.enum(['vits', 'vitb', 'vitl', 'vitg']),
  out_layers: z.tuple([block, block, block, block]),
  alt_start: start,
  qknorm_start: start,
  rope_start: start,
  cat_token: z.boolean().default(true),
  embed_dim: whole.optional(),
  depth: whole.optional(),
  num_heads: whole.optional(),
  img_size: whole.default(518),
});

const networkSchema = z.object({
  net: netSchema,
  head: z.object({
    __object__: z.object({ name: z.enum(['DualDPT', 'DPT']) }),
    features: whole.default(256),
    out_channels: four.default([256, 512, 1024, 1024]),
  }),
  cam_enc: z
    .object({ num_heads: whole.default(16), trunk_depth: whole.default(4) })
    .optional()
    .nullable(),
});

const nestedSchema = z.object({ anyview: networkSchema, metric: networkSchema });

type NetworkFile = z.infer<typeof networkSchema>;

const invalid = (where: string, problem: string): SpatialError =>
  new SpatialError({
    code: 'CONFIG_INVALID',
    message: `${where}: ${problem}`,
    hint: 'Use the config.json that is published with the weights, unedited.',
  });

/**
 * Configuration of a released variant.
 * @param modelName for example `da3-small` or `da3nested-giant-large-1.1`.
 * @throws SpatialError CONFIG_INVALID for an unknown name.
 */
export const variantConfig = (modelName: string): Da3Config =>
  parseDa3Config({ model_name: modelName }, 'Depth Anything 3');

/** @throws SpatialError FILE_MISSING | FILE_INVALID | CONFIG_INVALID. */
export const readDa3Config = async (folder: string): Promise<Da3Config> =>
  parseDa3Config(await readCheckpointConfig(folder), `${folder}/config.json`);

/**
 * Reads `{ model_name, config }` as it is published. Without `config` the name decides.
 * @param where path of the file, for messages.
 * @throws SpatialError CONFIG_INVALID for a missing or ill-typed field, and for structures that were never released.
 */
export const parseDa3Config = (
  file: Readonly<Record<string, unknown>>,
  where = 'config.json',
): Da3Config => {
  const modelName = file['model_name'];
  if (typeof modelName !== 'string')
    throw invalid(where, 'expected model_name, the name of a variant of Depth Anything 3');
  const variant = variantOf(modelName);
  const config = file['config'] ?? variant?.config;
  if (config === undefined)
    throw invalid(
      where,
      `unknown model_name "${modelName}": expected one of ${DA3_VARIANTS.join(', ')}`,
    );
  const licence = variant?.licence ?? { name: 'unknown', commercialUse: false };
  return { modelName, licence, ...parseNetworks(config, modelName, `${where}.config`) };
};

const parseNetworks = (
  config: unknown,
  modelName: string,
  where: string,
): Pick<Da3Config, 'kind' | 'anyView' | 'single'> => {
  const isNested = typeof config === 'object' && config !== null && 'anyview' in config;
  if (isNested) {
    const { anyview, metric } = parse(nestedSchema, config, where);
    const networks = {
      anyView: networkOf(anyview, `${where}.anyview`),
      single: networkOf(metric, `${where}.metric`),
    };
    if (networks.anyView.head.kind === 'dual' && networks.single.head.kind === 'mono')
      return { kind: 'nested', ...networks };
    throw invalid(where, 'expected a DualDPT head in anyview and a DPT head in metric');
  }
  const network = networkOf(parse(networkSchema, config, where), where);
  if (network.head.kind === 'dual') return { kind: 'any-view', anyView: network };
  return { kind: modelName.includes('metric') ? 'metric' : 'mono', single: network };
};

const parse = <T>(schema: z.ZodType<T>, value: unknown, where: string): T => {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(where, describeProblem(parsed.error));
};

const networkOf = ({ net, head, cam_enc }: NetworkFile, where: string): NetworkConfig => {
  const backbone = backboneOf(net, `${where}.net`);
  const kind = head.__object__.name === 'DualDPT' ? 'dual' : 'mono';
  const isWhole = kind === 'mono' || (cam_enc && backbone.crossViewStart !== undefined);
  if (!isWhole || backbone.concatenates !== (kind === 'dual'))
    throw invalid(
      where,
      'expected DualDPT with alt_start, cat_token and cam_enc, or DPT without them',
    );
  const common = {
    backbone,
    head: { kind, features: head.features, stages: head.out_channels },
  } as const;
  if (!cam_enc || kind === 'mono') return common;
  return { ...common, cameraEncoder: { heads: cam_enc.num_heads, depth: cam_enc.trunk_depth } };
};

const backboneOf = (net: NetworkFile['net'], where: string): BackboneConfig => {
  const { channels, depth, heads } = sizesOf(net);
  const starts = [net.alt_start, net.qknorm_start, net.rope_start];
  if (new Set(starts).size > 1)
    throw invalid(where, `expected one start of alternation, norms and rope, found ${starts}`);
  if (net.out_layers.some((layer, i) => layer >= depth || layer <= (net.out_layers[i - 1] ?? -1)))
    throw invalid(where, `expected ascending out_layers below ${depth}, found ${net.out_layers}`);
  if (channels % (4 * heads) !== 0 || net.img_size % PATCH !== 0)
    throw invalid(where, `${channels} channels, ${heads} heads, img_size ${net.img_size}`);
  const mlp = net.name === 'vitg' ? 'swiglu' : 'gelu';
  return {
    channels,
    depth,
    heads,
    mlp,
    hidden: mlp === 'gelu' ? 4 * channels : gatedWidth(channels),
    baseGrid: net.img_size / PATCH,
    taps: net.out_layers,
    concatenates: net.cat_token,
    ...(net.alt_start < 0 ? {} : { crossViewStart: net.alt_start }),
  };
};

const sizesOf = (net: NetworkFile['net']) => {
  const vit = VITS[net.name];
  return {
    channels: net.embed_dim ?? vit.channels,
    depth: net.depth ?? vit.depth,
    heads: net.num_heads ?? vit.heads,
  };
};

/** ⌊4C · 2/3⌋, rounded up to a multiple of 8. */
const gatedWidth = (channels: number): number =>
  8 * Math.ceil(Math.floor((4 * channels * 2) / 3) / 8);
