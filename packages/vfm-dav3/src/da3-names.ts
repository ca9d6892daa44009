import {
  dptFusionShapes,
  dptOutputShapes,
  dptShapes,
  layerShapes,
  normShapes,
  type Shapes,
  shapesBelow,
  towerShapes,
  visionBlockShapes,
} from '@spatialsv/core/kit';
import { blockConfig, cameraBlock, trunkConfig, trunkNames } from './da3-blocks.js';
import {
  type BackboneConfig,
  type Da3Config,
  type NetworkConfig,
  OUTPUT_HIDDEN,
  tapChannels,
} from './da3-config.js';

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
      { prefix: 'model.da3', network: config.anyView },
      { prefix: 'model.da3_metric', network: config.single },
    ];
  return [{ prefix: 'model', network: (config.anyView ?? config.single)! }];
};

/** Every tensor of a published file with its shape, without the Gaussian branch of the giant. */
export const da3Shapes = (config: Da3Config): Shapes =>
  merge(
    networkPrefixes(config).map(({ prefix, network }) =>
      shapesBelow(prefix, networkShapes(network)),
    ),
  );

/** Tensors of one network, by names without the prefix of {@link networkPrefixes}. */
export const networkShapes = (network: NetworkConfig): Shapes => {
  const { backbone, head } = network;
  const parts = [
    shapesBelow(TRUNK, trunkShapes(backbone)),
    shapesBelow('head', headShapes(network)),
  ];
  if (head.kind === 'dual')
    parts.push(
      shapesBelow('cam_dec', cameraDecoderShapes(2 * backbone.channels)),
      shapesBelow('cam_enc', cameraEncoderShapes(network)),
    );
  return merge(parts);
};

/** Whether the released computation reads a tensor; the output layers of three ray levels are never read. */
export const isRead = (name: string): boolean =>
  !/output_conv1_aux\.[0-2]\.|output_conv2_aux\.[0-2]\.[05]\./.test(name);

const merge = (parts: readonly Shapes[]): Shapes => Object.assign({}, ...parts);

const LAYER = { kind: 'layer' } as const;

const repeat = (count: number, shapes: (index: number) => Shapes): Shapes =>
  merge(Array.from({ length: count }, (_, index) => shapes(index)));

// ---------------------------------------------------------------------------------------------- backbone

const trunkShapes = (backbone: BackboneConfig): Shapes => {
  const { channels, depth, crossViewStart } = backbone;
  const names = trunkNames(backbone);
  const tower = towerShapes(trunkConfig(backbone), names);
  if (crossViewStart === undefined) return tower;
  return {
    ...tower,
    camera_token: [1, 2, channels],
    ...repeat(depth - crossViewStart, (i) => {
      const block = crossViewStart + i;
      const shapes = visionBlockShapes(blockConfig(backbone, block), names.block);
      return shapesBelow(`${names.blocks}.${block}`, shapes);
    }),
  };
};

// ---------------------------------------------------------------------------------------------- heads

const headShapes = ({ backbone, head }: NetworkConfig): Shapes => {
  const inputs = tapChannels(backbone);
  const sizes = { ...head, inputs, hidden: OUTPUT_HIDDEN, outputs: head.kind === 'dual' ? 2 : 1 };
  const branch =
    head.kind === 'dual' ? rayShapes(head.features) : dptOutputShapes('sky_output_conv2', sizes);
  return {
    ...(head.kind === 'dual' ? normShapes('norm', inputs, LAYER) : {}),
    ...dptShapes(sizes),
    ...shapesBelow('scratch', branch),
  };
};

const rayShapes = (features: number): Shapes => {
  const half = features / 2;
  const neck = (level: number) =>
    repeat(5, (i) => {
      const [out, into] = i % 2 === 0 ? [half, features] : [features, half];
      return layerShapes(`output_conv1_aux.${level}.${i}`, [out, into, 3, 3]);
    });
  return {
    ...dptFusionShapes(features, '_aux'),
    ...repeat(RAY_LEVELS, (level) => ({
      ...neck(level),
      ...layerShapes(`output_conv2_aux.${level}.0`, [OUTPUT_HIDDEN, half, 3, 3]),
      ...(level === 0 ? normShapes('output_conv2_aux.0.2', OUTPUT_HIDDEN, LAYER) : {}),
      ...layerShapes(`output_conv2_aux.${level}.5`, [RAY_CHANNELS, OUTPUT_HIDDEN, 1, 1]),
    })),
  };
};

// ---------------------------------------------------------------------------------------------- cameras

const cameraDecoderShapes = (width: number): Shapes => ({
  ...layerShapes('backbone.0', [width, width]),
  ...layerShapes('backbone.2', [width, width]),
  ...layerShapes('fc_t', [3, width]),
  ...layerShapes('fc_qvec', [4, width]),
  ...layerShapes('fc_fov.0', [2, width]),
});

const cameraEncoderShapes = ({ backbone, cameraEncoder }: NetworkConfig): Shapes => {
  const { channels } = backbone;
  const block = visionBlockShapes(cameraBlock(channels, cameraEncoder!));
  return {
    ...repeat(cameraEncoder!.depth, (i) => shapesBelow(`trunk.${i}`, block)),
    ...normShapes('token_norm', channels, LAYER),
    ...normShapes('trunk_norm', channels, LAYER),
    ...layerShapes('pose_branch.fc1', [channels / 2, 9]),
    ...layerShapes('pose_branch.fc2', [channels, channels / 2]),
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
