import { createTensor, type DeviceTensor, float32, sizeOf } from '@spatialsv/engine';
import { createDecoder, type DecoderConfig, decoderShapes } from '../../nn/index.js';
import { createRandom } from '../../random.js';

/** A decoder of a few hundred weights for the tests of this folder. */
const CONFIG: DecoderConfig = {
  hiddenSize: 12,
  layers: 4,
  heads: 4,
  kvHeads: 2,
  headDim: 6,
  intermediateSize: 20,
  vocabularySize: 23,
  rmsNormEps: 1e-6,
  qkvBias: true,
  qkNorm: true,
  tieHead: false,
  rope: { theta: 1e4, sections: [1, 1, 1] },
};
const NAMES = { model: 'model', head: 'lm_head.weight' };

export const testDecoder = createDecoder(CONFIG, NAMES);
export const testSizes = { ...CONFIG, positionRows: 3 as const };
export const testShapes = decoderShapes(CONFIG, NAMES);

/** Random values of every weight, by full name. */
export function testValues(): Readonly<Record<string, Float32Array>> {
  const random = createRandom(3);
  const entries = Object.entries(testShapes).map(([name, shape]) => [
    name,
    random.normals(
      sizeOf(shape),
      0.4,
    ),
  ]);
  return Object.fromEntries(entries);
}

export const onDevice = (
  values: Readonly<Record<string, Float32Array>>,
): Readonly<Record<string, DeviceTensor>> =>
  Object.fromEntries(
    Object.entries(values).map(([name, data]) => [
      name,
      createTensor(float32(...testShapes[name]!), data.slice()),
    ]),
  );

/** A prompt of 9 tokens, of which 4 are visual: T, C, rows and positions differ. */
export const testPrompt = {
  inputIds: Int32Array.of(4, 9, 9, 9, 9, 5, 6, 7, 8),
  positions: Int32Array.from(
    [0, 1, 1, 1, 1, 3, 4, 5, 6, 0, 1, 1, 2, 2, 3, 4, 5, 6].concat([0, 1, 2, 1, 2, 3, 4, 5, 6]),
  ),
  positionRows: 3 as const,
  nextPosition: 7,
  spliceIndex: Int32Array.of(0, 9, 10, 11, 12, 5, 6, 7, 8),
};

export const testRows = createRandom(4).normals(4 * CONFIG.hiddenSize);
