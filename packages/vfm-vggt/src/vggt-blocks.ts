/** VGGT's transformers as configurations. Source: VGGT (arXiv:2503.11651), vggt/models/aggregator.py. */
import { dinoBlock, type VisionBlockConfig, type VisionTowerConfig } from '@spatialsv/core/kit';
import type { VggtConfig } from './vggt-config.js';

const ENCODER_EPSILON = 1e-6;
const ALTERNATING_EPSILON = 1e-5;
const CAMERA_EPSILON = 1e-5;

/** The patch encoder: DINOv2 with registers; positions are learnt on the patches of a square image. */
export const encoderConfig = (config: VggtConfig): VisionTowerConfig => ({
  ...dinoBlock(config.width, config.encoder.heads, ENCODER_EPSILON),
  depth: config.encoder.depth,
  patch: { size: config.patchSize, channels: 3, bias: true },
  classToken: { angles: false },
  registers: config.registers,
  positions: {
    side: config.imageSize / config.patchSize,
    resampling: { kind: 'antialiased' },
  },
  postNorm: { kind: 'layer', epsilon: ENCODER_EPSILON },
});

/** Frame and global blocks. */
export const alternatingBlock = ({ width, aggregator }: VggtConfig): VisionBlockConfig => ({
  ...dinoBlock(width, aggregator.heads, ALTERNATING_EPSILON),
  qkNorm: { kind: 'layer', epsilon: ALTERNATING_EPSILON },
});

/** Blocks of the camera head, which sees frame and global tokens side by side. */
export const cameraBlock = ({ width, camera }: VggtConfig): VisionBlockConfig =>
  dinoBlock(2 * width, camera.heads, CAMERA_EPSILON);
