/** The transformers of Depth Anything 3 as configurations. Source: model/dinov2/vision_transformer.py, model/cam_enc.py. */
import {
  DINO_NAMES,
  dinoBlock,
  type VisionBlockConfig,
  type VisionTowerConfig,
  type VisionTowerNames,
} from '@spatialsv/core/kit';
import { type BackboneConfig, type CameraEncoderConfig, PATCH } from './da3-config.js';

const BLOCK_EPSILON = 1e-6;
/** Of the last norm, and of the norms of queries and keys. */
export const NORM_EPSILON = 1e-5;
const CAMERA_EPSILON = 1e-5;

/** DINOv2 as far as it looks at one image; blocks from `crossViewStart` on differ, see {@link blockConfig}. */
export const trunkConfig = (config: BackboneConfig): VisionTowerConfig => ({
  ...dinoBlock(config.channels, config.heads, BLOCK_EPSILON),
  mlp: mlpOf(config),
  depth: config.depth,
  patch: { size: PATCH, channels: 3, bias: true },
  classToken: { angles: false },
  positions: { side: config.baseGrid, resampling: { kind: 'offset', offset: 0.1 } },
  postNorm: { kind: 'layer', epsilon: NORM_EPSILON },
});

/** Names of DINOv2, with those of its gated MLP in the giant. */
export const trunkNames = ({ mlp }: BackboneConfig): VisionTowerNames =>
  mlp === 'gelu'
    ? DINO_NAMES
    : {
        ...DINO_NAMES,
        block: { ...DINO_NAMES.block, mlp: { up: 'mlp.w12', down: 'mlp.w3' } },
      };

const mlpOf = ({ mlp, hidden }: BackboneConfig): VisionBlockConfig['mlp'] =>
  mlp === 'gelu'
    ? { hidden, activation: 'gelu', gated: false }
    : { hidden, activation: 'silu', gated: true };

export const blockConfig = (config: BackboneConfig, block: number): VisionBlockConfig => {
  const isNormed = config.crossViewStart !== undefined && block >= config.crossViewStart;
  const norm = { kind: 'layer', epsilon: NORM_EPSILON } as const;
  return { ...trunkConfig(config), ...(isNormed ? { qkNorm: norm } : {}) };
};

/** Blocks of the encoder of known cameras. */
export const cameraBlock = (channels: number, { heads }: CameraEncoderConfig): VisionBlockConfig =>
  dinoBlock(channels, heads, CAMERA_EPSILON);
