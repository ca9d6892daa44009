import {
  type BackboneConfig,
  type Da3Config,
  type HeadConfig,
  type NetworkConfig,
  OUTPUT_HIDDEN,
  PATCH,
  tapChannels,
} from './da3-config.js';

type Shape = readonly number[];
export type Shapes = Readonly<Record<string, Shape>>;

/** Levels of the ray branch. Only the last one gives an output; the files hold all of them. */
const RAY_LEVELS = 4;
const RAY_CHANNELS = 7;
const TRUNK = 'backbone.pretrained';
/** The layer norm that the ray levels share: stored once, under the name of the first level. */
export const RAY_NORM = 'head.scratch.output_conv2_aux.0.2';

/** Where the tensors of each network lie in a file. */
export const networkPrefixes = (
  config: Da3Config,
): readonly { readonly prefix: string; readonly network: NetworkConfig }[] => {
  if (config.anyView && config.single)
    return [
      { prefix: 'model.da3.', network: config.anyView },
      { prefix: 'model.da3_metric.', network: config.single },
    ];
  return [{ prefix: 'model.', network: (config.anyView ?? config.single)! }];
};

/** Every tensor of a published file with its shape, without the Gaussian branch of the giant. */
export const da3Shapes = (config: Da3Config): Shapes =>
  merge(
    networkPrefixes(config).map(({ prefix, network }) => below(prefix, networkShapes(network))),
  );

/** Tensors of one network, by names without the prefix of {@link networkPrefixes}. */
export const networkShapes = (network: NetworkConfig): Shapes => {
  const { backbone, head } = network;
  const parts = [below(`${TRUNK}.`, trunkShapes(backbone)), below('head.', headShapes(network))];
  if (head.kind === 'dual')
    parts.push(
      below('cam_dec.', cameraDecoderShapes(2 * backbone.channels)),
      below('cam_enc.', cameraEncoderShapes(network)),
    );
  return merge(parts);
};

/** Whether the released computation reads a tensor; the output layers of three ray levels are never read. */
export const isRead = (name: string): boolean =>
  !/output_conv1_aux\.[0-2]\.|output_conv2_aux\.[0-2]\.[05]\./.test(name);

const merge = (parts: readonly Shapes[]): Shapes => Object.assign({}, ...parts);

const below = (prefix: string, shapes: Shapes): Shapes =>
  Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [prefix + name, shape]));

/** Weight and bias. */
const layer = (name: string, ...weight: number[]): Shapes => ({
  [`${name}.weight`]: weight,
  [`${name}.bias`]: [weight[0]!],
});

const convolution = (name: string, out: number, into: number, kernel: number): Shapes =>
  layer(name, out, into, kernel, kernel);

const repeat = (count: number, shapes: (index: number) => Shapes): Shapes =>
  merge(Array.from({ length: count }, (_, index) => shapes(index)));

// ---------------------------------------------------------------------------------------------- backbone

const trunkShapes = (backbone: BackboneConfig): Shapes => {
  const { channels, depth, baseGrid, crossViewStart = depth } = backbone;
  return {
    cls_token: [1, 1, channels],
    ...(crossViewStart < depth ? { camera_token: [1, 2, channels] } : {}),
    pos_embed: [1, baseGrid * baseGrid + 1, channels],
    ...layer('patch_embed.proj', channels, 3, PATCH, PATCH),
    ...repeat(depth, (i) =>
      below(`blocks.${i}.`, {
        ...blockShapes(channels, mlpShapes(backbone)),
        ...(i >= crossViewStart ? normsOfHeads(channels / backbone.heads) : {}),
      }),
    ),
    ...layer('norm', channels),
  };
};

const blockShapes = (channels: number, mlp: Shapes): Shapes => ({
  ...layer('norm1', channels),
  ...layer('attn.qkv', 3 * channels, channels),
  ...layer('attn.proj', channels, channels),
  'ls1.gamma': [channels],
  ...layer('norm2', channels),
  ...mlp,
  'ls2.gamma': [channels],
});

const normsOfHeads = (headDim: number): Shapes => ({
  ...layer('attn.q_norm', headDim),
  ...layer('attn.k_norm', headDim),
});

const mlpShapes = ({ channels, hidden, mlp }: BackboneConfig): Shapes =>
  mlp === 'gelu'
    ? { ...layer('mlp.fc1', hidden, channels), ...layer('mlp.fc2', channels, hidden) }
    : { ...layer('mlp.w12', 2 * hidden, channels), ...layer('mlp.w3', channels, hidden) };

// ---------------------------------------------------------------------------------------------- heads

const headShapes = ({ backbone, head }: NetworkConfig): Shapes => {
  const width = tapChannels(backbone);
  const { stages, features } = head;
  return {
    ...(head.kind === 'dual' ? layer('norm', width) : {}),
    ...repeat(4, (i) => convolution(`projects.${i}`, stages[i]!, width, 1)),
    ...convolution('resize_layers.0', stages[0], stages[0], 4),
    ...convolution('resize_layers.1', stages[1], stages[1], 2),
    ...convolution('resize_layers.3', stages[3], stages[3], 3),
    ...repeat(4, (i) => ({
      [`scratch.layer${i + 1}_rn.weight`]: [features, stages[i]!, 3, 3],
    })),
    ...below('scratch.', { ...chainShapes(features, ''), ...outputShapes(head) }),
  };
};

const chainShapes = (features: number, ending: string): Shapes =>
  repeat(4, (i) => {
    const unit = (name: string): Shapes => ({
      ...convolution(`${name}.conv1`, features, features, 3),
      ...convolution(`${name}.conv2`, features, features, 3),
    });
    return below(`refinenet${i + 1}${ending}.`, {
      ...(i < 3 ? unit('resConfUnit1') : {}),
      ...unit('resConfUnit2'),
      ...convolution('out_conv', features, features, 1),
    });
  });

const outputShapes = (head: HeadConfig): Shapes => {
  const { features, kind } = head;
  const half = features / 2;
  const output = (name: string, channels: number): Shapes => ({
    ...convolution(`${name}.0`, OUTPUT_HIDDEN, half, 3),
    ...convolution(`${name}.2`, channels, OUTPUT_HIDDEN, 1),
  });
  return {
    ...convolution('output_conv1', half, features, 3),
    ...output('output_conv2', kind === 'dual' ? 2 : 1),
    ...(kind === 'dual' ? rayShapes(features) : output('sky_output_conv2', 1)),
  };
};

const rayShapes = (features: number): Shapes => {
  const half = features / 2;
  const neck = (level: number) =>
    repeat(5, (i) => {
      const [out, into] = i % 2 === 0 ? [half, features] : [features, half];
      return convolution(`output_conv1_aux.${level}.${i}`, out, into, 3);
    });
  return {
    ...chainShapes(features, '_aux'),
    ...repeat(RAY_LEVELS, (level) => ({
      ...neck(level),
      ...convolution(`output_conv2_aux.${level}.0`, OUTPUT_HIDDEN, half, 3),
      ...(level === 0 ? layer('output_conv2_aux.0.2', OUTPUT_HIDDEN) : {}),
      ...convolution(`output_conv2_aux.${level}.5`, RAY_CHANNELS, OUTPUT_HIDDEN, 1),
    })),
  };
};

// ---------------------------------------------------------------------------------------------- cameras

const cameraDecoderShapes = (width: number): Shapes => ({
  ...layer('backbone.0', width, width),
  ...layer('backbone.2', width, width),
  ...layer('fc_t', 3, width),
  ...layer('fc_qvec', 4, width),
  ...layer('fc_fov.0', 2, width),
});

const cameraEncoderShapes = ({ backbone, cameraEncoder }: NetworkConfig): Shapes => {
  const { channels } = backbone;
  const mlp = {
    ...layer('mlp.fc1', 4 * channels, channels),
    ...layer('mlp.fc2', channels, 4 * channels),
  };
  return {
    ...repeat(cameraEncoder!.depth, (i) => below(`trunk.${i}.`, blockShapes(channels, mlp))),
    ...layer('token_norm', channels),
    ...layer('trunk_norm', channels),
    ...layer('pose_branch.fc1', channels / 2, 9),
    ...layer('pose_branch.fc2', channels, channels / 2),
  };
};

// ---------------------------------------------------------------------------------------------- older files

/** Replacements that bring names of older files to those of the published ones, in this order. */
const RENAMES: readonly (readonly [from: string, to: string])[] = [
  ['module.', 'model.'],
  ['.net.', '.backbone.'],
  ['.camera_token_extra', '.camera_token'],
  ['model.all_heads.camera_cond_head', 'model.cam_enc'],
  ['model.all_heads.camera_head', 'model.cam_dec'],
  ['.more_mlps.', '.backbone.'],
  ['.fc_rot.', '.fc_qvec.'],
  ['model.all_heads.head', 'model.head'],
  ['output_conv2_additional.sky_mask', 'sky_output_conv2'],
  ['_ray.', '_aux.'],
  ['gaussian_param_head.', 'gs_head.'],
];

const rename = (name: string): string => {
  const isPublished = name.startsWith('model.') || name.startsWith('module.');
  return RENAMES.reduce(
    (renamed, [from, to]) => renamed.replaceAll(from, to),
    isPublished ? name : `module.${name}`,
  );
};

/**
 * Published name → name in the file. Names of older files are translated; the Gaussian branch is left out, and so is
 * every repetition of the layer norm that the ray levels share.
 */
export const publishedNames = (fileNames: readonly string[]): ReadonlyMap<string, string> => {
  // Files with the extra token hold an unused one under the name that the extra token has today.
  const hasExtra = fileNames.some((name) => name.includes('.camera_token_extra'));
  const names = new Map<string, string>();
  for (const name of [...fileNames].sort()) {
    if (hasExtra && name.endsWith('.camera_token')) continue;
    const published = rename(name).replace(/(output_conv2_aux)\.[1-3]\.2\./, '$1.0.2.');
    if (/\.gs_(head|adapter)\./.test(published) || names.has(published)) continue;
    names.set(published, name);
  }
  return names;
};
