import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { sizeOf, tf } from '@spatialsv/engine';
import { SpatialError } from '../errors.js';
import { refusePixelBudget, refuseSettings } from '../kit/backbone-settings.js';
import { openCheckpoint } from '../kit/checkpoint.js';
import { contentOf } from '../kit/conversation-content.js';
import { readGenerationSettings, SAMPLING_DEFAULTS } from '../kit/generation-config.js';
import { refuseExtremeShape } from '../kit/image-processor.js';
import { createDecoder, type DecoderConfig, decoderShapes, parameterScope } from '../nn/index.js';
import { createRandom } from '../random.js';
import { float32Source, saveWeights } from '../safetensors/index.js';
import type {
  BackboneAdapterV1,
  BackboneV1,
  BlockInputsV1,
  ConversationV1,
  DecoderV1,
  OpenBackboneOptions,
  PreparedInputsV1,
  RgbImage,
  TinyCheckpointOptions,
} from '../spec.js';
import { describeBackboneAdapter } from './describe-backbone-adapter.js';
import type { TestRunner } from './test-runner.js';

/** The smallest adapter that conforms: characters as tokens, mean colours of 28-pixel cells as vision encoder. */
const CELL = 28;
const IMAGE_ID = 1;
const END_ID = 2;
const VISION = 6;
const decoder: DecoderConfig = {
  hiddenSize: 16,
  layers: 4,
  heads: 2,
  kvHeads: 1,
  headDim: 8,
  intermediateSize: 24,
  vocabularySize: 128,
  rmsNormEps: 1e-6,
  qkvBias: false,
  qkNorm: false,
  tieHead: true,
  rope: { theta: 1e4 },
};
const names = { model: 'model', head: 'lm_head.weight' };
const shapes: Readonly<Record<string, readonly number[]>> = {
  ...decoderShapes(decoder, names),
  'vision.weight': [VISION, 3],
  'projector.weight': [decoder.hiddenSize, VISION],
};

const writeTiny = async ({ folder, seed }: TinyCheckpointOptions): Promise<void> => {
  const random = createRandom(seed);
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const count = sizeOf(shape);
    return [name, float32Source(random.normals(count, 0.5), shape)] as const;
  });
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'config.json'), '{"model_type": "toy"}');
  await saveWeights(folder, new Map(tensors));
};

/** Whole cells of an image; smaller ones where it has none. */
const cellsOf = ({ height, width }: RgbImage) => {
  const side = Math.min(CELL, height, width);
  return { side, h: Math.floor(height / side), w: Math.floor(width / side) };
};

const cellColours = (image: RgbImage): Float32Array => {
  const { side, h, w } = cellsOf(image);
  const means = new Float32Array(h * w * 3);
  for (let y = 0; y < h * side; y++)
    for (let x = 0; x < w * side; x++) {
      const cell = Math.floor(y / side) * w + Math.floor(x / side);
      for (let c = 0; c < 3; c++)
        means[cell * 3 + c]! += image.data[(y * image.width + x) * 3 + c]! / 255 / side ** 2;
    }
  return means;
};

const encodeText = (text: string): number[] =>
  [...text].map((letter) => letter.charCodeAt(0) % 128);

/** Images stand before the question, wherever the conversation has them. */
const prepare = async (conversation: ConversationV1): Promise<PreparedInputsV1> => {
  contentOf(conversation);
  const ids: number[] = [];
  const grids = conversation.images.map((image) => {
    const { side, h, w } = cellsOf(image);
    const tokenIndex = Int32Array.from({ length: h * w }, (_, i) => ids.length + i);
    ids.push(...Array(h * w).fill(IMAGE_ID), 10);
    return {
      h,
      w,
      tokenIndex,
      extraIndex: new Int32Array(),
      toImage: { ax: side, bx: 0, ay: side, by: 0 },
      covered: { x0: 0, y0: 0, x1: w * side, y1: h * side },
    };
  });
  ids.push(...encodeText(conversation.question), 10);
  const promptLength = ids.length;
  if (conversation.answer !== undefined) ids.push(...encodeText(conversation.answer), END_ID);
  let row = ids.length;
  return {
    inputIds: Int32Array.from(ids),
    labels: Int32Array.from(ids, (id, i) => (i < promptLength ? -100 : id)),
    positions: Int32Array.from(ids.keys()),
    positionRows: 1,
    nextPosition: ids.length,
    spliceIndex: Int32Array.from(ids, (id, i) => (id === IMAGE_ID ? row++ : i)),
    views: conversation.images.map((image, i) => ({
      pixelValues: cellColours(image),
      pixelShape: [grids[i]!.h * grids[i]!.w, 3],
      layout: { key: `${grids[i]!.h}x${grids[i]!.w}` },
    })),
    grids,
  };
};

const open = async (folder: string, options: OpenBackboneOptions = {}): Promise<BackboneV1> => {
  refuseSettings('toy', options);
  refusePixelBudget('toy', options, 'Cells have 28 pixels.');
  const { weights, findings, save } = await openCheckpoint(folder, { shapes });
  return {
    adapterId: 'toy',
    folder,
    config: {
      ...decoder,
      positionRows: 1,
      visionBlocks: 1,
      generation: await readGenerationSettings(folder, {}, [END_ID]),
      learningRates: { languageModel: 2e-7, projector: 1e-5, spatial: 1e-5 },
      defaultTaps: [1, 2, 3, 4],
    },
    weights,
    findings,
    parameterGroup: (name) =>
      name.startsWith('vision')
        ? 'vision'
        : name.startsWith('projector')
          ? 'projector'
          : 'language-model',
    prepare,
    decodeTokens: (ids) => ids.map((id) => String.fromCharCode(id)).join(''),
    encodeView: (parameters, pixels, _layout, states = []) => {
      const patches = parameterScope(parameters).linear('vision', pixels);
      const features = tf.relu(patches);
      const all = [patches, features];
      return { features, states: Object.fromEntries(states.map((k) => [k, all[k]!])) };
    },
    projectView: (parameters, features) => parameterScope(parameters).linear('projector', features),
    decoder: createDecoder(decoder, names),
    save,
  };
};

const toy: BackboneAdapterV1 = {
  specificationVersion: 'v1',
  kind: 'backbone-adapter',
  id: 'toy',
  accepts: (config) => config['model_type'] === 'toy',
  open,
  writeTiny,
};

/** The toy adapter with parts of its backbone changed. */
const withBackbone = (
  change: (backbone: BackboneV1) => Partial<BackboneV1>,
): BackboneAdapterV1 => ({
  ...toy,
  open: async (folder, options) => {
    const backbone = await open(folder, options);
    return { ...backbone, ...change(backbone) };
  },
});

const withDecoder = (change: (decoder: DecoderV1) => Partial<DecoderV1>) =>
  withBackbone(({ decoder: whole }) => ({ decoder: { ...whole, ...change(whole) } }));

const withPrompt = (change: (prompt: PreparedInputsV1) => Partial<PreparedInputsV1>) =>
  withBackbone(() => ({
    prepare: async (conversation) => {
      const prompt = await prepare(conversation);
      return { ...prompt, ...change(prompt) };
    },
  }));

/** Runs one case of the suite alone. */
const runCase = async (adapter: BackboneAdapterV1, wanted: string): Promise<void> => {
  const cases = new Map<string, () => Promise<void>>();
  let cleanUp = async (): Promise<void> => undefined;
  const runner: TestRunner = {
    describe: (_name, body) => body(),
    it: (name, body) => cases.set(name, body),
    afterAll: (body) => {
      cleanUp = body;
    },
  };
  describeBackboneAdapter(() => adapter, { runner });
  await cases.get(wanted)!().finally(cleanUp);
};

/** The toy adapter with other ids where a tokenizer was given. */
const ignoresTokenizer: BackboneAdapterV1 = {
  ...toy,
  writeTiny: async (options) => {
    await writeTiny(options);
    if (options.tokenizer !== undefined) await writeFile(path.join(options.folder, 'own'), '');
  },
  open: async (folder, options) => {
    const backbone = await open(folder, options);
    if (!existsSync(path.join(folder, 'own'))) return backbone;
    const other = async (conversation: ConversationV1) => {
      const prompt = await prepare(conversation);
      return { ...prompt, inputIds: prompt.inputIds.map((id) => (id === IMAGE_ID ? id : id ^ 2)) };
    };
    return { ...backbone, prepare: other };
  },
};

let drift = 0;

describe('describeBackboneAdapter', () => {
  describeBackboneAdapter(() => toy);

  it.each<[string, string, BackboneAdapterV1]>([
    [
      'an adapter that opens everything',
      'says what it is and which checkpoints it opens',
      { ...toy, accepts: () => true },
    ],
    [
      'a checkpoint that ignores its seed',
      'writes the same tiny checkpoint for the same seed',
      { ...toy, writeTiny: (options) => writeTiny({ ...options, seed: 0 }) },
    ],
    [
      'a checkpoint that is never the same',
      'writes the same tiny checkpoint for the same seed',
      { ...toy, writeTiny: (options) => writeTiny({ ...options, seed: drift++ }) },
    ],
    [
      'taps outside of the decoder',
      'describes the decoder',
      withBackbone(({ config }) => ({ config: { ...config, defaultTaps: [1, 2, 3, 5] } })),
    ],
    [
      'a missing parameter group',
      'hands out every weight where it is stored, by group',
      withBackbone(() => ({ parameterGroup: () => 'vision' })),
    ],
    [
      'views in the wrong order',
      'lays out text and visual tokens',
      withPrompt(({ spliceIndex }) => ({
        spliceIndex: spliceIndex.map((value, i) =>
          value === i ? i : 2 * spliceIndex.length + 29 - value,
        ),
      })),
    ],
    [
      'grids on their side',
      'lays out text and visual tokens',
      withPrompt(({ grids }) => ({
        grids: grids.map((grid) => ({ ...grid, h: grid.w, w: grid.h })),
      })),
    ],
    [
      'cells in the order of columns',
      'sees in every cell what lies there in the image',
      withPrompt(({ grids }) => ({
        grids: grids.map((grid) => ({
          ...grid,
          tokenIndex: grid.tokenIndex.map(
            (_, i) => grid.tokenIndex[(i % grid.w) * grid.h + Math.floor(i / grid.w)]!,
          ),
        })),
      })),
    ],
    [
      'rows of cells that are swapped',
      'sees in every cell what lies there in the image',
      withBackbone((toyBackbone) => ({
        projectView: (parameters, features, layout) =>
          tf.reverse(toyBackbone.projectView(parameters, features, layout), 0),
      })),
    ],
    [
      'a grid from right to left',
      'lays out text and visual tokens',
      withPrompt(({ grids }) => ({
        grids: grids.map((grid) => {
          const { ax, ay } = grid.toImage;
          return { ...grid, toImage: { ax: -ax, bx: ax * grid.w, ay, by: 0 } };
        }),
      })),
    ],
    [
      'settings that are not checked',
      'takes its own settings and no others',
      { ...toy, open: (folder, { settings: _, ...options } = {}) => open(folder, options) },
    ],
    [
      'a budget of pixels that does nothing',
      'takes its own settings and no others',
      { ...toy, open: (folder, { maxPixels: _, ...options } = {}) => open(folder, options) },
    ],
    [
      'generation settings that are not read',
      'says how it answers and learns',
      withBackbone(({ config }) => ({
        config: {
          ...config,
          generation: { ...config.generation, repetitionPenalty: 1, sampling: SAMPLING_DEFAULTS },
        },
      })),
    ],
    [
      'an end token that is no token',
      'says how it answers and learns',
      withBackbone(({ config }) => ({
        config: { ...config, generation: { ...config.generation, endOfTurnIds: [9999] } },
      })),
    ],
    [
      'a learning rate that is none',
      'says how it answers and learns',
      withBackbone(({ config }) => ({
        config: { ...config, learningRates: { ...config.learningRates, spatial: 10 } },
      })),
    ],
    [
      'a tokenizer that is not taken',
      'writes a tiny checkpoint with a given tokenizer',
      ignoresTokenizer,
    ],
    [
      'labels in the prompt',
      'takes labels from the answer alone',
      withPrompt(({ inputIds }) => ({ labels: inputIds })),
    ],
    [
      'parts that are not looked at',
      'keeps images and texts in their order',
      withBackbone(() => ({ prepare: ({ parts: _, ...rest }) => prepare(rest) })),
    ],
    [
      'views in the order of the grid, not of the conversation',
      'keeps images and texts in their order',
      withPrompt(({ grids }) => ({ grids: grids.toReversed() })),
    ],
    [
      'shifted labels',
      'takes labels from the answer alone',
      withPrompt(({ labels }) => ({ labels: labels.map((_, i) => labels[i + 1] ?? -100) })),
    ],
    [
      'prompts that change',
      'prepares equal conversations equally',
      withPrompt(({ nextPosition }) => ({ nextPosition: nextPosition + drift++ })),
    ],
    [
      'a weight that no part names',
      'names the weights of every part of the decoder',
      withDecoder(({ names: parts }) => ({ names: { ...parts, finalNorm: [] } })),
    ],
    [
      'two blocks with the weights of one',
      'names the weights of every part of the decoder',
      withDecoder(({ layers }) => ({ layers: [layers[0]!, ...layers.slice(0, -1)] })),
    ],
    [
      'one layout for all views',
      'gives layouts of their own to views prepared in their own way',
      withPrompt(({ views }) => ({
        views: views.map((view) => ({ ...view, layout: { key: '' } })),
      })),
    ],
    [
      'a layout that is never the same',
      'gives layouts of their own to views prepared in their own way',
      withPrompt(({ views }) => ({
        views: views.map((view) => ({ ...view, layout: { key: String(drift++) } })),
      })),
    ],
    [
      'sizes that are refused in the middle of a run alone',
      'refuses images by their size before a run as it does in preparing them',
      withBackbone(() => ({
        prepare: (conversation) => {
          for (const { height, width } of conversation.images)
            refuseExtremeShape(height, width, 'an-image.png');
          return prepare(conversation);
        },
      })),
    ],
    [
      'vision states that are left out',
      'gives states of every vision block and rows of every view',
      withBackbone((toyBackbone) => ({
        encodeView: (parameters, pixels, layout) =>
          toyBackbone.encodeView(parameters, pixels, layout),
      })),
    ],
    [
      'rows of another width',
      'gives states of every vision block and rows of every view',
      withBackbone((toyBackbone) => ({
        projectView: (parameters, features, layout) =>
          tf.concat([toyBackbone.projectView(parameters, features, layout), tf.zeros([1, 16])], 0),
      })),
    ],
    [
      'tokens that see the future',
      'sees only what came before',
      withDecoder((whole) => ({
        block: (kind, parameters, x, inputs: BlockInputsV1) =>
          whole.block(kind, parameters, tf.add(x, tf.mean(x, 0, true)), inputs),
      })),
    ],
    [
      'a decoder that does not look at images',
      'sees only what came before',
      withPrompt(({ spliceIndex }) => ({ spliceIndex: spliceIndex.map((_, i) => i) })),
    ],
    [
      'blocks of one kind that compute different things',
      'gives the same block by block',
      withDecoder((whole) => ({
        block: (kind, parameters, x, inputs) => {
          const out = whole.block(kind, parameters, x, inputs);
          return { ...out, x: tf.mul(out.x, ++drift) };
        },
      })),
    ],
    [
      'a cache that is not used',
      'continues from a cache',
      withDecoder((whole) => ({
        block: (kind, parameters, x, { positions }) =>
          whole.block(kind, parameters, x, { positions }),
      })),
    ],
    [
      'weights that are not saved',
      'saves a checkpoint of the same layout',
      withBackbone((toyBackbone) => ({ save: (folder) => toyBackbone.save(folder, new Map()) })),
    ],
    [
      'files that are left out',
      'saves a checkpoint of the same layout',
      withBackbone((toyBackbone) => ({
        save: async (folder, replaced) => {
          await toyBackbone.save(folder, replaced);
          await writeFile(path.join(folder, 'more.txt'), '');
        },
      })),
    ],
    [
      'doubts that are not said',
      'passes over a tensor that another tool added, and says so',
      withBackbone(() => ({ findings: [] })),
    ],
    [
      'weights that are not checked',
      'refuses incomplete checkpoints',
      {
        ...toy,
        open: async (folder) =>
          open(folder).catch((error: unknown) => {
            if (SpatialError.isInstance(error) && error.code === 'WEIGHT_MISSING')
              return {} as BackboneV1;
            throw error;
          }),
      },
    ],
  ])('finds %s', async (_name, expected, adapter) => {
    await expect(runCase(adapter, expected)).rejects.toThrow();
  });
});
