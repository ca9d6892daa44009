export interface Corners {
  /** Corner pixels keep their place: source = i·(n − 1)/(m − 1). */
  readonly alignCorners: boolean;
  /** Pixel centres lie at half integers: source = (i + ½)·n/m − ½. */
  readonly halfPixelCenters: boolean;
}

/** Weights of bilinear interpolation along one axis, (outputs, inputs); sources outside are clamped to the border. */
export function interpolationMatrix(
  inputs: number,
  outputs: number,
  { alignCorners, halfPixelCenters }: Corners,
): Float32Array {
  const matrix = new Float32Array(outputs * inputs);
  const scale = alignCorners && outputs > 1 ? (inputs - 1) / (outputs - 1) : inputs / outputs;
  for (let row = 0; row < outputs; row += 1) {
    const source = halfPixelCenters ? (row + 0.5) * scale - 0.5 : row * scale;
    const clamped = Math.min(Math.max(source, 0), inputs - 1);
    const low = Math.floor(clamped);
    const high = Math.min(low + 1, inputs - 1);
    const weight = clamped - low;
    matrix[row * inputs + low]! += 1 - weight;
    matrix[row * inputs + high]! += weight;
  }
  return matrix;
}
