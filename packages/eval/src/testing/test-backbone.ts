import { join } from 'node:path';
import {
  type BackboneV1,
  createDecoder,
  createRandom,
  type DecoderConfig,
  type DecoderNames,
  decoderShapes,
  float32Source,
  openWeights,
  ops,
  type PreparedInputsV1,
  parameterScope,
  SAMPLING_DEFAULTS,
  writeSafetensors,
} from '@spatialsv/core';
import { sizeOf } from '@spatialsv/engine';

/** A backbone of a few hundred weights for tests of the runner: real decoder, one-layer "vision encoder", id = character. */
const NAMES: DecoderNames = { model: 'model', head: 'lm_head.weight' };
const CONFIG: DecoderConfig = {
  hiddenSize: 16,
  layers: 4,
  heads: 4,
  kvHeads: 2,
  headDim: 4,
  intermediateSize: 20,
  vocabularySize: 40,
  rmsNormEps: 1e-6,
  qkvBias: true,
  qkNorm: false,
  tieHead: false,
  rope: { theta: 1e4 },
};
const PATCH_VALUES = 6;
/** Placeholder id of visual tokens. */
const IMAGE = 39;
export const END = 38;

export interface TestBackboneOptions {
  readonly storedAs?: 'F32' | 'BF16';
  /** 3 for rotary positions in time, height and width. */
  readonly positionRows?: 1 | 3;
}

export async function makeTestBackbone(
  folder: string,
  { storedAs = 'F32', positionRows = 1 }: TestBackboneOptions = {},
): Promise<BackboneV1> {
  const config: DecoderConfig =
    positionRows === 1 ? CONFIG : { ...CONFIG, rope: { theta: 1e4, sections: [1, 1, 0] } };
  const shapes = {
    ...decoderShapes(CONFIG, NAMES),
    'visual.weight': [8, PATCH_VALUES],
    'visual.merger.weight': [CONFIG.hiddenSize, 8],
  };
  const random = createRandom(5);
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const size = sizeOf(shape);
    const data = Float32Array.from({ length: size }, () => random.uniform(-0.6, 0.6));
    return [name, float32Source(data, shape, storedAs)] as const;
  });
  await writeSafetensors(join(folder, 'model.safetensors'), new Map(tensors));
  const reader = await openWeights(folder);
  const weights = Object.fromEntries(
    Object.keys(shapes).map((name) => [name, reader.mapped(name)]),
  );
  return {
    adapterId: 'test',
    folder,
    config: {
      ...CONFIG,
      positionRows,
      visionBlocks: 1,
      generation: { endOfTurnIds: [END], repetitionPenalty: 1, sampling: SAMPLING_DEFAULTS },
      learningRates: { languageModel: 2e-7, projector: 1e-5, spatial: 1e-5 },
      defaultTaps: [1, 2, 3, 4],
    },
    weights,
    parameterGroup: (name) =>
      name === 'visual.weight'
        ? 'vision'
        : name.startsWith('visual')
          ? 'projector'
          : 'language-model',
    prepare: async () => {
      throw new Error('the tests lay sequences out themselves');
    },
    decodeTokens: (ids) => ids.map((id) => String.fromCharCode(65 + id)).join(''),
    encodeView: (p, pixels, _layout, states = []) => {
      const patches = parameterScope(p).linear('visual', pixels);
      const all = [patches, ops.gelu(patches)];
      const asked = states.map((index) => [index, all[index]!]);
      return { features: all[1]!, states: Object.fromEntries(asked) };
    },
    projectView: (p, features) => parameterScope(p).linear('visual.merger', features),
    decoder: createDecoder(config, NAMES),
    save: async () => {
      throw new Error('not part of the tests');
    },
  };
}

/** The same with positions in time, height and width, that lag behind the tokens as those of grids do. */
export function inThreeRows(inputs: PreparedInputsV1): PreparedInputsV1 {
  const tokens = inputs.inputIds.length;
  const positions = Int32Array.from({ length: 3 * tokens }, (_, k) => {
    const [row, i] = [Math.floor(k / tokens), k % tokens];
    return Math.floor(i / 2) + (inputs.inputIds[i] === IMAGE ? row * (i % 2) : 0);
  });
  return { ...inputs, positions, positionRows: 3, nextPosition: Math.floor(tokens / 2) + 1 };
}

/** Text `before`, then one h×w view per grid, then text `after`. */
export function layOut(
  before: readonly number[],
  views: readonly (readonly [h: number, w: number])[],
  after: readonly number[],
): PreparedInputsV1 {
  const cells = views.map(([h, w]) => h * w);
  const visual = cells.reduce((sum, n) => sum + n, 0);
  const ids = [...before, ...new Array<number>(visual).fill(IMAGE), ...after];
  let row = ids.length;
  let token = before.length;
  return {
    inputIds: Int32Array.from(ids),
    labels: new Int32Array(ids.length).fill(-100),
    positions: Int32Array.from(ids, (_, i) => i),
    positionRows: 1,
    nextPosition: ids.length,
    spliceIndex: Int32Array.from(ids, (id, i) => (id === IMAGE ? row++ : i)),
    views: views.map(([h, w], view) => ({
      pixelValues: Float32Array.from({ length: h * w * PATCH_VALUES }, (_, i) =>
        Math.sin(i + view),
      ),
      pixelShape: [h * w, PATCH_VALUES],
      layout: { key: `${h}x${w}` },
    })),
    grids: views.map(([h, w]) => ({
      h,
      w,
      tokenIndex: Int32Array.from({ length: h * w }, () => token++),
      extraIndex: new Int32Array(0),
      toImage: { ax: 1, bx: 0, ay: 1, by: 0 },
      covered: { x0: 0, y0: 0, x1: w, y1: h },
    })),
  };
}
