export interface BicubicOptions {
  /** Corner pixels keep their place. */
  readonly alignCorners?: boolean;
  /** Widens the kernel when shrinking, and takes the kernel a = −0.5 instead of −0.75, as PyTorch and Pillow do. */
  readonly antialias?: boolean;
  /**
   * Output pixels per input pixel along height and width, where they are not exactly the ratio of the sizes: some models
   * resample position embeddings with a factor that differs from it by a small offset.
   */
  readonly scaleFactors?: readonly [number, number];
}

/** Weights along one axis, (outputs, inputs); every row sums to 1. */
export function bicubicMatrix(
  inputs: number,
  outputs: number,
  { alignCorners = false, antialias = false }: BicubicOptions,
  factor: number | undefined,
): Float32Array {
  const matrix = new Float32Array(outputs * inputs);
  const aligned = outputs > 1 ? (inputs - 1) / (outputs - 1) : 0;
  const scale = alignCorners ? aligned : 1 / (factor ?? outputs / inputs);
  for (let row = 0; row < outputs; row += 1) {
    const source = alignCorners ? row * scale : (row + 0.5) * scale - 0.5;
    const weights = antialias
      ? smoothedWeights(source, Math.max(scale, 1), inputs)
      : interpolatingWeights(source, inputs);
    const sum = [...weights.values()].reduce((a, b) => a + b, 0);
    for (const [column, weight] of weights) matrix[row * inputs + column] = weight / sum;
  }
  return matrix;
}

/** Four neighbours; those outside count for the border. */
function interpolatingWeights(source: number, inputs: number): Map<number, number> {
  const weights = new Map<number, number>();
  const first = Math.floor(source) - 1;
  for (let tap = first; tap < first + 4; tap += 1) {
    const column = Math.min(Math.max(tap, 0), inputs - 1);
    weights.set(column, (weights.get(column) ?? 0) + cubicKernel(tap - source, -0.75));
  }
  return weights;
}

/** Every input under a kernel stretched by `stretch`; those outside do not count. */
function smoothedWeights(source: number, stretch: number, inputs: number): Map<number, number> {
  const weights = new Map<number, number>();
  const centre = source + 0.5;
  const from = Math.max(0, Math.trunc(centre - 2 * stretch + 0.5));
  const to = Math.min(inputs, Math.trunc(centre + 2 * stretch + 0.5));
  for (let column = from; column < to; column += 1) {
    weights.set(column, cubicKernel((column - source) / stretch, -0.5));
  }
  return weights;
}

/** Keys' cubic convolution kernel: a = −0.5 as Pillow has it, a = −0.75 as PyTorch and OpenCV have it. */
export function cubicKernel(distance: number, a: number): number {
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}
