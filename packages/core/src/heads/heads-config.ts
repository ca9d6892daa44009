import { z } from 'zod';
import { SpatialError } from '../errors.js';
import { describeProblem } from '../issues.js';

/** The three geometric outputs, in the order of the paper's equation 4. */
export const GEOMETRY_TASKS = ['depth', 'ray', 'point'] as const;
export type GeometryTask = (typeof GEOMETRY_TASKS)[number];

/** Widths that belong together. The paper gives none: `full` is VGGT's head, `small` that of Depth Anything 3 small. */
const PRESETS = {
  tiny: {
    projectorChannels: 32,
    stageChannels: [16, 16, 32, 32],
    features: 16,
    hiddenChannels: 16,
  },
  small: {
    projectorChannels: 256,
    stageChannels: [48, 96, 192, 384],
    features: 64,
    hiddenChannels: 32,
  },
  full: {
    projectorChannels: 2048,
    stageChannels: [256, 512, 1024, 1024],
    features: 256,
    hiddenChannels: 32,
  },
} as const;

const channels = z.int().positive();

const inputSchema = z.strictObject({
  preset: z.enum(['tiny', 'small', 'full']).default('small'),
  /** d_3D: width of the projected features. */
  projectorChannels: channels.optional(),
  /** Channels of the four stages of the reassembled pyramid. */
  stageChannels: z.tuple([channels, channels, channels, channels]).optional(),
  /** Channels of the fused pyramid. */
  features: channels.optional(),
  /** Channels before the last 1×1 convolution. */
  hiddenChannels: channels.optional(),
  /** One projector per tapped layer, or one for all four (Table 4 of the paper compares them). */
  projectors: z.enum(['decoupled', 'shared']).default('decoupled'),
  /** LayerNorm on the tapped hidden states before the projector. */
  projectorNorm: z.boolean().default(true),
  /** What the heads predict; none at all where a model has only been distilled. */
  tasks: z.array(z.enum(GEOMETRY_TASKS)).default([...GEOMETRY_TASKS]),
  /** Output pixels per cell of the token grid. */
  outputScale: z.int().positive().default(8),
  /** VGGT's sinusoidal image-position embedding, added to the stages and before the last convolutions. */
  positionEmbedding: z.boolean().default(true),
  /** Skip path of the residual units: x (default) or relu(x), as VGGT's in-place ReLU makes it. */
  residualRelu: z.boolean().default(false),
  pointActivation: z.enum(['inv_log', 'linear']).default('inv_log'),
});

export type HeadsConfigInput = z.input<typeof inputSchema>;

/** Every value resolved; parsing it again gives the same configuration. */
export const headsConfigSchema = inputSchema.transform((given, context) => {
  const preset = PRESETS[given.preset];
  const config = {
    ...given,
    projectorChannels: given.projectorChannels ?? preset.projectorChannels,
    stageChannels: given.stageChannels ?? ([...preset.stageChannels] as Quadruple),
    features: given.features ?? preset.features,
    hiddenChannels: given.hiddenChannels ?? preset.hiddenChannels,
  };
  for (const message of widthProblems(config)) context.addIssue({ code: 'custom', message });
  return config;
});

export type HeadsConfig = z.output<typeof headsConfigSchema>;

type Quadruple = [number, number, number, number];
type Widths = Pick<HeadsConfigInput, 'positionEmbedding'> & {
  readonly stageChannels: readonly number[];
  readonly features: number;
};

/** The embedding encodes x and y by sines and cosines, so the widths that it is added to must be multiples of 4. */
function widthProblems(config: Widths): string[] {
  const problems: string[] = [];
  if (config.features % 2 !== 0) problems.push(`features must be even, found ${config.features}`);
  if (!config.positionEmbedding) return problems;
  for (const width of [...config.stageChannels, config.features / 2]) {
    if (width % 4 !== 0) {
      problems.push(
        `with positionEmbedding, stageChannels and features / 2 must be multiples of 4, found ${width}`,
      );
    }
  }
  return problems;
}

/**
 * Fills in the defaults of a heads configuration.
 * @throws SpatialError CONFIG_INVALID for unknown keys, wrong types and widths that do not fit together.
 */
export function parseHeadsConfig(input: unknown = {}): HeadsConfig {
  const result = headsConfigSchema.safeParse(input);
  if (result.success) return result.data;
  throw new SpatialError({
    code: 'CONFIG_INVALID',
    message: `heads configuration: ${describeProblem(result.error)}`,
    hint: 'Correct or remove the named keys; docs/concepts/heads-and-losses.md lists all of them',
    cause: result.error,
  });
}

/** Output channels of a task's head: its value and one confidence (eq. 4). */
export const TASK_CHANNELS: Readonly<Record<GeometryTask, number>> = { depth: 2, ray: 7, point: 4 };

/** Size of the predicted maps of a token grid: `outputScale` pixels per cell. */
export function headOutputSize(
  config: Pick<HeadsConfig, 'outputScale'>,
  grid: { readonly h: number; readonly w: number },
): { height: number; width: number } {
  return { height: grid.h * config.outputScale, width: grid.w * config.outputScale };
}
