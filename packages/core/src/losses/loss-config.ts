import { z } from 'zod';

const weight = z.number().nonnegative();

/**
 * Choices that equations 5, 6 and 10–12 leave open. The defaults are ours (docs/concepts/heads-and-losses.md); most
 * follow VGGT's training code.
 */
export const lossConfigSchema = z.strictObject({
  /** First term of eq. 5: mean of ‖y − m‖ (`l2`), or of its squared components (`mse`). */
  regression: z.enum(['l2', 'mse']).default('l2'),
  /** λ_c of eq. 10–12. */
  confidenceWeight: weight.default(0.2),
  /** ‖·‖ over the 6 channels of a ray, or the sum of the norms of origin and direction. */
  rayNorm: z.enum(['joint', 'split']).default('joint'),
  /** Scales 1, 2, 4, … of eq. 11, averaged; 1 is the equation as printed. */
  gradientScales: z.int().min(1).max(8).default(4),
  /** Whether eq. 11 weights by confidence; without it the plain absolute gradient is taken. */
  gradientConfidence: z.boolean().default(true),
  /** |Ω| of eq. 11: valid pixels for both axes, or valid neighbour pairs per axis. */
  gradientCount: z.enum(['pixels', 'pairs']).default('pixels'),
  /** Whether the log term of eq. 11 is taken at valid pairs only (VGGT takes it everywhere). */
  gradientLogMasked: z.boolean().default(true),
  /** Upper bound on one absolute gradient. */
  gradientClamp: z.number().positive().nullable().default(100),
  /** Scales 1, 2, 4, … of eq. 12, averaged; 1 is the equation as printed. */
  normalScales: z.int().min(1).max(8).default(3),
  normalConfidence: z.boolean().default(true),
  /** A scale with fewer valid normals contributes 0. */
  normalMinimum: z.int().positive().default(10),
  /** Drop the largest per-pixel values of the first two terms above this quantile; null keeps all. */
  outlierQuantile: z.number().gt(0).lt(1).nullable().default(0.98),
  /** The quantile acts only where more values than this are valid and would remain. */
  outlierMinimum: z.int().nonnegative().default(1000),
  /** Values above are cut to this before the quantile is taken. */
  outlierClamp: z.number().positive().default(100),
  /** Weights of the terms of eq. 5. */
  termWeights: z
    .strictObject({
      regression: weight.default(1),
      confidence: weight.default(1),
      gradient: weight.default(1),
      normal: weight.default(1),
    })
    .prefault({}),
  /** Weights of the terms of eq. 6. */
  weights: z
    .strictObject({
      text: weight.default(1),
      distillation: weight.default(1),
      depth: weight.default(1),
      ray: weight.default(1),
      point: weight.default(1),
    })
    .prefault({}),
});

export type LossConfig = z.output<typeof lossConfigSchema>;
export type LossConfigInput = z.input<typeof lossConfigSchema>;
