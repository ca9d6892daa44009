import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BackboneV1,
  type ConversationV1,
  createDecoder,
  createRandom,
  type DecoderConfig,
  decoderShapes,
  float32Source,
  openWeights,
  type PreparedInputsV1,
  parameterScope,
  type RgbImage,
  SAMPLING_DEFAULTS,
  saveCheckpoint,
  saveWeights,
  writeFileAtomic,
} from '@spatialsv/core';
import { sizeOf } from '@spatialsv/engine';

/** The smallest backbone with every part that training touches: a linear "vision encoder", a projector, two blocks. */
const NAMES = { model: 'model', head: 'lm_head.weight' };
const CONFIG: DecoderConfig = {
  hiddenSize: 16,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  headDim: 8,
  intermediateSize: 24,
  vocabularySize: 40,
  rmsNormEps: 1e-6,
  qkvBias: true,
  qkNorm: false,
  tieHead: false,
  rope: { theta: 1e4 },
};
const VISION = 'visual.patch.weight';
const PROJECTOR = 'visual.merger.weight';
const GRID = 2;
const PATCH_VALUES = 3;
const VISION_CHANNELS = 6;
const shapesOf = (config: DecoderConfig): Readonly<Record<string, readonly number[]>> => ({
  [VISION]: [VISION_CHANNELS, PATCH_VALUES],
  [PROJECTOR]: [config.hiddenSize, VISION_CHANNELS],
  ...decoderShapes(config, NAMES),
});

/** Sizes of a decoder that are not those of the smallest one. */
export type ToySizes = Partial<
  Pick<DecoderConfig, 'hiddenSize' | 'layers' | 'headDim' | 'intermediateSize'>
>;

const IMAGE_TOKEN = 1;
const END_TOKEN = 2;

/** Writes a random toy checkpoint. @param storedAs type of its weights. */
export async function writeToyCheckpoint(
  folder: string,
  seed: number,
  sizes: ToySizes = {},
  storedAs?: 'BF16',
): Promise<void> {
  const random = createRandom(seed);
  const tensors = Object.entries(shapesOf({ ...CONFIG, ...sizes })).map(([name, shape]) => {
    const size = sizeOf(shape);
    const data = name.includes('norm') ? new Float32Array(size).fill(1) : random.normals(size, 0.2);
    return [name, float32Source(data, shape, storedAs)] as const;
  });
  const config = { model_type: 'toy', ...sizes };
  await writeFileAtomic(join(folder, 'config.json'), JSON.stringify(config));
  await saveWeights(folder, new Map(tensors));
}

export async function openToyBackbone(folder: string): Promise<BackboneV1> {
  const reader = await openWeights(folder);
  const { model_type: _, ...sizes } = JSON.parse(
    await readFile(join(folder, 'config.json'), 'utf8'),
  ) as ToySizes & { readonly model_type: string };
  const config = { ...CONFIG, ...sizes };
  return {
    adapterId: 'toy',
    folder,
    config: {
      ...config,
      positionRows: 1,
      visionBlocks: 0,
      generation: { endOfTurnIds: [END_TOKEN], repetitionPenalty: 1, sampling: SAMPLING_DEFAULTS },
      learningRates: { languageModel: 2e-7, projector: 1e-5, spatial: 1e-5 },
      defaultTaps: [0, 1, 1, 2],
    },
    weights: reader.mappedAll(),
    parameterGroup: (name) => {
      if (name === VISION) return 'vision';
      return name === PROJECTOR ? 'projector' : 'language-model';
    },
    prepare: async (conversation) => prepare(conversation),
    decodeTokens: (ids) => String.fromCharCode(...ids),
    encodeView: (parameters, pixels, _layout, states = []) => {
      const features = parameterScope(parameters).linear('visual.patch', pixels);
      return { features, states: Object.fromEntries(states.map((index) => [index, features])) };
    },
    projectView: (parameters, features) =>
      parameterScope(parameters).linear('visual.merger', features),
    decoder: createDecoder(config, NAMES),
    save: (target, replaced) => saveCheckpoint(reader, target, replaced),
  };
}

const tokensOf = (text: string): number[] => [...text].map((char) => 3 + (char.charCodeAt(0) % 37));

function prepare({ images, question, answer }: ConversationV1): PreparedInputsV1 {
  const cells = GRID * GRID;
  const prompt = [...Array(images.length * cells).fill(IMAGE_TOKEN), ...tokensOf(question)];
  const target = answer === undefined ? [] : [...tokensOf(answer), END_TOKEN];
  const inputIds = Int32Array.from([...prompt, ...target]);
  const length = inputIds.length;
  const visual = images.length * cells;
  return {
    inputIds,
    labels: inputIds.map((id, index) => (index < prompt.length ? -100 : id)),
    positions: inputIds.map((_, index) => index),
    positionRows: 1,
    nextPosition: length,
    spliceIndex: inputIds.map((_, index) => (index < visual ? length + index : index)),
    views: images.map((image) => ({
      pixelValues: cellMeans(image),
      pixelShape: [cells, PATCH_VALUES],
      layout: { key: `${GRID}x${GRID}` },
    })),
    grids: images.map(({ height, width }, view) => ({
      h: GRID,
      w: GRID,
      tokenIndex: Int32Array.from({ length: cells }, (_, cell) => view * cells + cell),
      extraIndex: new Int32Array(0),
      toImage: { ax: width / GRID, bx: 0, ay: height / GRID, by: 0 },
      covered: { x0: 0, y0: 0, x1: width, y1: height },
    })),
  };
}

/** (cells, 3) colour of the pixel in the middle of each cell, 0 to 1. */
function cellMeans({ data, height, width }: RgbImage): Float32Array {
  const values = new Float32Array(GRID * GRID * PATCH_VALUES);
  for (let cell = 0; cell < GRID * GRID; cell++) {
    const y = Math.floor(((Math.floor(cell / GRID) + 0.5) * height) / GRID);
    const x = Math.floor((((cell % GRID) + 0.5) * width) / GRID);
    for (let c = 0; c < 3; c++) values[3 * cell + c] = data[3 * (y * width + x) + c]! / 255;
  }
  return values;
}
