import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { readCheckpointConfig } from '../checkpoint-folder.js';
import { SpatialError } from '../errors.js';
import { createRandom } from '../random.js';
import { copySource, float32Source, openWeights, saveWeights } from '../safetensors/index.js';
import type {
  BackboneAdapterV1,
  BackboneV1,
  ConversationV1,
  PreparedInputsV1,
  RgbImage,
  TinyCheckpointOptions,
  ViewGridV1,
} from '../spec.js';
import { expectAllclose } from './allclose.js';
import { checkCells } from './check-cells.js';
import { checkGeneration, checkOptions, checkTokenizer } from './check-settings.js';
import {
  type BackboneOutputs,
  continued,
  runBackbone,
  runBlockwise,
  runIncrementally,
  runTogether,
} from './run-backbone.js';
import { globalRunner, once, type TestRunner } from './test-runner.js';

const ANSWER = 'B';

const SEED = 5;

/** Two views of different, non-square sizes: what mixes up height and width, or the order of views, fails. */
const makeConversation = (seed: number): ConversationV1 => ({
  images: [makeImage(seed, 84, 140), makeImage(seed + 1, 140, 84)],
  question: 'Which object is nearer? A. chair B. table',
});

const makeImage = (seed: number, height: number, width: number): RgbImage => {
  const random = createRandom(seed);
  const data = Uint8Array.from({ length: height * width * 3 }, () => random.integer(256));
  return { data, height, width };
};

interface Opened {
  readonly folder: string;
  readonly tiny: TinyCheckpointOptions;
  readonly backbone: BackboneV1;
  readonly prompt: PreparedInputsV1;
}

const hashFiles = async (folder: string): Promise<Readonly<Record<string, string>>> => {
  const names = (await readdir(folder)).sort();
  const hashes = names.map(async (name) => {
    const bytes = await readFile(path.join(folder, name));
    return [name, createHash('sha256').update(bytes).digest('hex')] as const;
  });
  return Object.fromEntries(await Promise.all(hashes));
};

/** The last two are extreme: families may refuse them. */
const SIZES = [
  [84, 140],
  [28, 28],
  [28, 8400],
  [8400, 28],
] as const;

const checkSizes = async (backbone: BackboneV1): Promise<void> => {
  for (const [height, width] of SIZES) {
    const image = { ...makeImage(SEED, height, width), path: 'an-image.png' };
    const prepared = await outcome(() => backbone.prepare({ images: [image], question: 'What?' }));
    const asked = await outcome(async () => backbone.requireImageSize?.(image));
    assert.equal(
      asked,
      prepared,
      `requireImageSize and prepare disagree about an image of ${width}×${height} pixels`,
    );
    assert.ok(prepared === '' || prepared.includes('an-image.png'), `no image in: ${prepared}`);
  }
};

/** What is refused, with its message; nothing where it is not. */
const outcome = async (work: () => Promise<unknown>): Promise<string> => {
  try {
    await work();
    return '';
  } catch (error) {
    if (hasCode('IMAGE_INVALID')(error)) return (error as SpatialError).message;
    throw error;
  }
};

const hasCode =
  (code: string) =>
  (error: unknown): boolean =>
    SpatialError.isInstance(error) && error.code === code;

const checkContribution = (adapter: BackboneAdapterV1): void => {
  assert.equal(adapter.specificationVersion, 'v1');
  assert.equal(adapter.kind, 'backbone-adapter');
  assert.match(adapter.id, /^[a-z0-9][a-z0-9.-]*$/);
  for (const config of [{}, { model_type: 'unheard-of' }, { model_type: 3 }])
    assert.equal(adapter.accepts(config), false, `accepts ${JSON.stringify(config)}`);
};

const checkTiny = async (
  adapter: BackboneAdapterV1,
  options: TinyCheckpointOptions,
  root: string,
): Promise<void> => {
  const [again, other] = [path.join(root, 'again'), path.join(root, 'other')];
  await adapter.writeTiny({ ...options, folder: again });
  await adapter.writeTiny({ ...options, folder: other, seed: options.seed + 1 });
  const expected = await hashFiles(options.folder);
  assert.deepEqual(await hashFiles(again), expected);
  assert.notDeepEqual(await hashFiles(other), expected);
  assert.equal(adapter.accepts(await readCheckpointConfig(again)), true);
};

const checkConfig = ({ config }: BackboneV1): void => {
  for (const name of [
    'layers',
    'hiddenSize',
    'vocabularySize',
    'heads',
    'kvHeads',
    'headDim',
    'visionBlocks',
  ] as const)
    assert.ok(Number.isInteger(config[name]) && config[name] > 0, `${name} is ${config[name]}`);
  assert.equal(config.heads % config.kvHeads, 0);
  assert.ok(config.generation.endOfTurnIds.length > 0, 'no token ends an answer');
  assert.ok(config.defaultTaps.length > 0, 'no default taps');
  config.defaultTaps.forEach((tap, i) => {
    assert.ok(Number.isInteger(tap) && tap >= 1 && tap <= config.layers, `tap ${tap}`);
    assert.ok(i === 0 || tap >= config.defaultTaps[i - 1]!, 'taps are not in order');
  });
};

const checkWeights = async ({ folder, backbone }: Opened): Promise<void> => {
  const reader = await openWeights(folder);
  const groups = new Set(
    Object.keys(backbone.weights).map((name) => backbone.parameterGroup(name)),
  );
  assert.deepEqual([...groups].sort(), ['language-model', 'projector', 'vision']);
  for (const [name, weight] of Object.entries(backbone.weights))
    assert.deepEqual(weight, reader.mapped(name), `weight ${name} is not the stored one`);
};

/** Blocks and the other parts of the decoder name its weights: all that are there, each block its own. */
const checkParts = ({ backbone }: Opened): void => {
  const { decoder, config, weights } = backbone;
  assert.equal(decoder.layers.length, config.layers);
  const inBlocks = decoder.layers.flatMap(({ names }) => Object.values(names));
  assert.equal(new Set(inBlocks).size, inBlocks.length, 'two blocks share a weight');
  const { embed, finalNorm, logits } = decoder.names;
  const named = new Set([...inBlocks, ...embed, ...finalNorm, ...logits]);
  const stored = Object.keys(weights).filter(
    (name) => backbone.parameterGroup(name) === 'language-model',
  );
  assert.deepEqual([...named].sort(), stored.sort());
  const shapes = new Map<string, string>();
  for (const { kind, names } of decoder.layers) {
    const own = Object.entries(names).map(([free, full]) => [free, weights[full]!.shape]);
    const text = JSON.stringify(own.sort());
    assert.equal(shapes.get(kind) ?? text, text, `blocks of kind "${kind}" differ in shape`);
    shapes.set(kind, text);
  }
};

/**
 * Equal keys where views share a program; others where they were prepared in another way. Families whose views have one
 * size prepare views of every shape in one way.
 */
const checkLayouts = async ({ backbone, prompt }: Opened, { images, question }: ConversationV1) => {
  const [wide, high] = images as [RgbImage, RgbImage];
  for (const { layout } of prompt.views)
    assert.deepEqual(JSON.parse(JSON.stringify(layout)), layout, 'a layout is not JSON');
  const shown = [wide, high, makeImage(SEED + 2, wide.height, wide.width)];
  const { views, grids } = await backbone.prepare({ images: shown, question });
  const [a, b, c] = views.map(({ layout }) => layout.key);
  const [ofWide, ofHigh] = grids.map(({ h, w }) => `${h}x${w}`);
  if (ofWide !== ofHigh) assert.notEqual(a, b, 'views of different grids have the same key');
  assert.equal(a, c, 'views of one size have different keys');
};

const checkGrid = (grid: ViewGridV1, image: RgbImage): void => {
  assert.equal(grid.tokenIndex.length, grid.h * grid.w);
  const { ax, bx, ay, by } = grid.toImage;
  const { x0, y0, x1, y1 } = grid.covered;
  assert.ok(ax > 0 && ay > 0, 'the grid is not row-major from the upper left');
  assert.ok(x0 < x1 && y0 < y1 && x0 >= -0.5 && y0 >= -0.5, 'covered is empty or negative');
  assert.ok(x1 <= image.width + 0.5 && y1 <= image.height + 0.5, 'covered leaves the image');
  const corners = [ax * 0 + bx, ax * grid.w + bx, ay * 0 + by, ay * grid.h + by];
  expectAllclose(corners, [x0, x1, y0, y1], { atol: 1, rtol: 0 });
};

/** Every placeholder takes one visual row, in order, and the grids name exactly the placeholders. */
const checkPrompt = ({ backbone, prompt }: Opened, conversation: ConversationV1): void => {
  const tokens = prompt.inputIds.length;
  assert.equal(prompt.positions.length, prompt.positionRows * tokens);
  assert.equal(prompt.positionRows, backbone.config.positionRows);
  assert.equal(prompt.spliceIndex.length, tokens);
  assert.ok(prompt.inputIds.every((id) => id >= 0 && id < backbone.config.vocabularySize));
  assert.ok(prompt.positions.every((position) => position >= 0 && position < prompt.nextPosition));
  const visual = [...prompt.spliceIndex.keys()].filter((i) => prompt.spliceIndex[i]! >= tokens);
  assert.deepEqual(
    visual.map((position) => prompt.spliceIndex[position]! - tokens),
    [...visual.keys()],
    'visual rows are not taken in order',
  );
  for (let i = 0; i < tokens; i++)
    assert.ok(prompt.spliceIndex[i] === i || prompt.spliceIndex[i]! >= tokens, `splice at ${i}`);
  assert.equal(prompt.grids.length, conversation.images.length);
  assert.equal(prompt.views.length, conversation.images.length);
  const named = prompt.grids.flatMap((grid) => [...grid.tokenIndex, ...grid.extraIndex]);
  assert.deepEqual(
    named.sort((a, b) => a - b),
    visual,
  );
  for (const [view, grid] of prompt.grids.entries()) checkGrid(grid, conversation.images[view]!);
};

/** Images inside of the text stay in their order, wherever the family puts them, and no word is lost. */
const checkPlaces = async (
  { backbone }: Opened,
  { images, question }: ConversationV1,
): Promise<void> => {
  const text = (words: string) => ({ type: 'text', text: words }) as const;
  const parts = [text('First '), { type: 'image' }, text('second '), { type: 'image' }] as const;
  const whole = { images, question: `First second ${question}` };
  const prompt = await backbone.prepare({ ...whole, parts: [...parts, text(question)] });
  const first = await backbone.prepare(whole);
  const starts = prompt.grids.map(({ tokenIndex }) => tokenIndex[0]!);
  assert.ok(starts[0]! < starts[1]!, 'images are not in the order of the conversation');
  assert.deepEqual(
    prompt.views.map(({ layout }) => layout.key),
    first.views.map(({ layout }) => layout.key),
  );
  const words = ({ inputIds }: PreparedInputsV1) =>
    backbone.decodeTokens([...inputIds]).replaceAll(/\s/g, '');
  const said = words(prompt);
  for (const word of ['First', 'second', question.replaceAll(/\s/g, '')])
    assert.ok(said.includes(word), `${word} is lost: ${said}`);
  const few = { ...whole, images: images.slice(1), parts: [...parts, text(question)] };
  const refused = await backbone.prepare(few).then(
    () => false,
    (error: unknown) => hasCode('DATA_INVALID')(error),
  );
  assert.ok(refused, 'parts of two images beside one image are not refused');
};

/** Training sees the prompt of inference, then the answer, and takes its loss from the answer alone. */
const checkAnswer = async ({ backbone, prompt }: Opened, conversation: ConversationV1) => {
  assert.ok(
    prompt.labels.every((label) => label === -100),
    'a prompt without answer has labels',
  );
  const taught = await backbone.prepare({ ...conversation, answer: ANSWER });
  assert.deepEqual(taught.inputIds.slice(0, prompt.inputIds.length), prompt.inputIds);
  assert.equal(taught.labels.length, taught.inputIds.length);
  const labelled = [...taught.labels.keys()].filter((i) => taught.labels[i] !== -100);
  assert.ok(labelled.length > 0, 'no label in the answer');
  assert.ok(labelled[0]! >= prompt.inputIds.length, 'the prompt has labels');
  for (const i of labelled) assert.equal(taught.labels[i], taught.inputIds[i], `label at ${i}`);
  assert.ok(backbone.decodeTokens(labelled.map((i) => taught.labels[i]!)).includes(ANSWER));
};

const allFinite = (values: Float32Array): boolean => values.every(Number.isFinite);

const checkViews = ({ backbone, prompt }: Opened, { views }: BackboneOutputs): void => {
  const { hiddenSize, visionBlocks } = backbone.config;
  prompt.grids.forEach(({ h, w, extraIndex }, view) => {
    const { rows, states } = views[view]!;
    const expected = [h * w + extraIndex.length, hiddenSize];
    assert.deepEqual(rows.shape, expected, `visual rows of view ${view}`);
    assert.equal(states.length, visionBlocks + 1);
    for (const { shape, data } of states) {
      assert.deepEqual(shape, states[0]!.shape, `vision states of view ${view}`);
      assert.ok(allFinite(data), 'a vision state is not finite');
    }
  });
};

const checkShapes = ({ backbone, prompt }: Opened, outputs: BackboneOutputs): void => {
  const { hiddenSize, vocabularySize, layers, kvHeads, headDim } = backbone.config;
  const tokens = prompt.inputIds.length;
  assert.equal(outputs.hidden.length, layers + 1);
  for (const values of outputs.hidden) {
    assert.equal(values.length, tokens * hiddenSize);
    assert.ok(allFinite(values), 'a hidden state is not finite');
  }
  assert.equal(outputs.logits.length, vocabularySize);
  assert.equal(outputs.keys.length, layers);
  for (const keys of outputs.keys) assert.equal(keys.length, kvHeads * tokens * headDim);
};

/** Rows of (T, C) hidden states that differ. */
const changedRows = (a: Float32Array, b: Float32Array, width: number): number[] => {
  const limit = 1e-4 * a.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return [...Array(a.length / width).keys()].filter((row) => {
    for (let i = row * width; i < (row + 1) * width; i++)
      if (Math.abs(a[i]! - b[i]!) > limit) return true;
    return false;
  });
};

/** Another second image changes its own tokens and what follows, and nothing before. */
const checkCausality = async (opened: Opened, outputs: BackboneOutputs): Promise<void> => {
  const { backbone, prompt } = opened;
  const views = prompt.views.map((view, i) =>
    i === 0 ? view : { ...view, pixelValues: view.pixelValues.map((value) => -value) },
  );
  const changed = await runBackbone(backbone, { ...prompt, views });
  const firstChanged = Math.min(...prompt.grids[1]!.tokenIndex, ...prompt.grids[1]!.extraIndex);
  const rows = changedRows(
    outputs.hidden.at(-1)!,
    changed.hidden.at(-1)!,
    backbone.config.hiddenSize,
  );
  assert.ok(rows.length > 0, 'the second image has no influence');
  assert.ok(rows[0]! >= firstChanged, `row ${rows[0]} sees token ${firstChanged}, which is later`);
  assert.ok(rows.includes(prompt.inputIds.length - 1), 'the last token does not see the image');
};

const checkBlockwise = async ({ backbone, prompt }: Opened, outputs: BackboneOutputs) => {
  const { hidden, logits } = await runBlockwise(backbone, prompt, outputs);
  const states = outputs.hidden.map((whole, layer) => [hidden[layer]!, whole] as const);
  for (const [found, expected] of [...states, [logits, outputs.logits] as const]) {
    const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expectAllclose(found, expected, { rtol: 1e-4, atol: 1e-5 * scale });
  }
};

const checkIncremental = async (opened: Opened, outputs: BackboneOutputs): Promise<void> => {
  const { backbone, prompt } = opened;
  const width = backbone.config.hiddenSize;
  const last = await runIncrementally(backbone, prompt, outputs);
  const expected = outputs.hidden.at(-1)!.subarray((prompt.inputIds.length - 1) * width);
  const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  expectAllclose(last, expected, { rtol: 1e-3, atol: 1e-4 * scale });
};

/** Ids that every vocabulary has. */
const TEXTS = [[3, 1, 4], [1], [5, 9]] as const;

/** Several texts behind one prompt, decoded together, are to each other as if they were not there. */
const checkTogether = async ({ backbone, prompt }: Opened, outputs: BackboneOutputs) => {
  const together = await runTogether(backbone, prompt, outputs, TEXTS);
  for (const [i, text] of TEXTS.entries()) {
    const { logits } = await runBlockwise(backbone, continued(prompt, text), outputs);
    const scale = logits.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expectAllclose(together[i]!, logits, { rtol: 1e-4, atol: 1e-5 * scale });
  }
};

const checkSave = async (
  adapter: BackboneAdapterV1,
  { folder, backbone }: Opened,
  root: string,
): Promise<void> => {
  const before = await openWeights(folder);
  const name = before.names.find(
    (candidate) => backbone.parameterGroup(candidate) === 'projector',
  )!;
  const values = (await before.readFloat32(name)).map((value) => -2 * value);
  const saved = path.join(root, 'saved');
  await backbone.save(saved, new Map([[name, values]]));
  await adapter.open(saved);
  const after = await openWeights(saved);
  assert.deepEqual(after.weightMap, before.weightMap);
  expectAllclose(await after.readFloat32(name), values, { rtol: 0, atol: 0 });
  for (const other of before.names.filter((candidate) => candidate !== name))
    assert.deepEqual(await after.readRaw(other), await before.readRaw(other), other);
  assert.deepEqual(await readdir(saved), await readdir(folder));
};

const checkErrors = async (
  adapter: BackboneAdapterV1,
  { folder, backbone }: Opened,
  root: string,
): Promise<void> => {
  const empty = path.join(root, 'empty');
  await mkdir(empty);
  await assert.rejects(adapter.open(empty), hasCode('FILE_MISSING'));
  const incomplete = path.join(root, 'incomplete');
  await backbone.save(incomplete, new Map());
  const reader = await openWeights(folder);
  const lost = reader.names.find((name) => backbone.parameterGroup(name) === 'vision')!;
  const rest = reader.names.filter((name) => name !== lost);
  const weightMap = new Map([...reader.weightMap].filter(([name]) => name !== lost));
  await saveWeights(
    incomplete,
    new Map(rest.map((name) => [name, copySource(reader, name)])),
    weightMap,
  );
  await assert.rejects(adapter.open(incomplete), hasCode('WEIGHT_MISSING'));
};

/** A tensor that another tool added is passed over, and said. */
const checkForeignTensor = async (
  adapter: BackboneAdapterV1,
  { folder, backbone }: Opened,
  root: string,
): Promise<void> => {
  assert.deepEqual(backbone.findings ?? [], []);
  const more = path.join(root, 'more');
  await backbone.save(more, new Map());
  const reader = await openWeights(folder);
  const name = 'v_head.summary.weight';
  const tensors = reader.names.map((stored) => [stored, copySource(reader, stored)] as const);
  const shard = [...reader.weightMap.values()][0]!;
  await saveWeights(
    more,
    new Map([...tensors, [name, float32Source(new Float32Array(2), [2])]]),
    new Map([...reader.weightMap, [name, shard]]),
  );
  const { findings = [] } = await adapter.open(more);
  assert.deepEqual(
    findings.map(({ severity, code }) => [severity, code]),
    [['warning', 'WEIGHT_UNEXPECTED']],
  );
};

/**
 * The conformance suite of a backbone adapter, on the small checkpoint that the adapter itself writes: layout of
 * tokens and grids, labels, cells and what they see, settings, hidden states at any layer, causality, incremental decoding,
 * saving and errors. Equality
 * with the reference implementation is the adapter's own golden test.
 * @param create the adapter; called once.
 */
export const describeBackboneAdapter = (
  create: () => BackboneAdapterV1 | Promise<BackboneAdapterV1>,
  options: { readonly timeoutMs?: number; readonly runner?: TestRunner } = {},
): void => {
  const { timeoutMs = 60_000, runner = globalRunner() } = options;
  const conversation = makeConversation(SEED);
  const root = once(() => mkdtemp(path.join(os.tmpdir(), 'spatialsv-adapter-')));
  const adapter = once(create);
  const opened = once(async (): Promise<Opened> => {
    const folder = path.join(await root(), 'model');
    const tiny = { folder, seed: SEED, corpus: [conversation.question, ANSWER] };
    await (await adapter()).writeTiny(tiny);
    const backbone = await (await adapter()).open(folder);
    return { folder, tiny, backbone, prompt: await backbone.prepare(conversation) };
  });
  const outputs = once(async () => {
    const { backbone, prompt } = await opened();
    return runBackbone(backbone, prompt);
  });
  const cases: Readonly<Record<string, () => Promise<void>>> = {
    'says what it is and which checkpoints it opens': async () =>
      checkContribution(await adapter()),
    'writes the same tiny checkpoint for the same seed': async () =>
      checkTiny(await adapter(), (await opened()).tiny, await root()),
    'describes the decoder': async () => checkConfig((await opened()).backbone),
    'hands out every weight where it is stored, by group': async () => checkWeights(await opened()),
    'names the weights of every part of the decoder': async () => checkParts(await opened()),
    'gives layouts of their own to views prepared in their own way': async () =>
      checkLayouts(await opened(), conversation),
    'lays out text and visual tokens': async () => checkPrompt(await opened(), conversation),
    'keeps images and texts in their order': async () => checkPlaces(await opened(), conversation),
    'takes labels from the answer alone': async () => checkAnswer(await opened(), conversation),
    'prepares equal conversations equally': async () => {
      const { backbone, prompt } = await opened();
      assert.deepEqual(await backbone.prepare(conversation), prompt);
    },
    'refuses images by their size before a run as it does in preparing them': async () =>
      checkSizes((await opened()).backbone),
    'gives states of every vision block and rows of every view': async () =>
      checkViews(await opened(), await outputs()),
    'sees in every cell what lies there in the image': async () =>
      checkCells((await opened()).backbone, conversation.question),
    'gives hidden states of every layer': async () => checkShapes(await opened(), await outputs()),
    'sees only what came before': async () => checkCausality(await opened(), await outputs()),
    'gives the same block by block': async () => checkBlockwise(await opened(), await outputs()),
    'continues from a cache': async () => checkIncremental(await opened(), await outputs()),
    'continues several texts of one cache together': async () =>
      checkTogether(await opened(), await outputs()),
    'takes its own settings and no others': async () =>
      checkOptions(await adapter(), (await opened()).backbone, conversation),
    'says how it answers and learns': async () =>
      checkGeneration(await adapter(), (await opened()).backbone, await root()),
    'writes a tiny checkpoint with a given tokenizer': async () =>
      checkTokenizer(await adapter(), await opened(), conversation, await root()),
    'saves a checkpoint of the same layout': async () =>
      checkSave(await adapter(), await opened(), await root()),
    'passes over a tensor that another tool added, and says so': async () =>
      checkForeignTensor(await adapter(), await opened(), await root()),
    'refuses incomplete checkpoints': async () =>
      checkErrors(await adapter(), await opened(), await root()),
  };
  runner.describe('backbone adapter', () => {
    for (const [name, check] of Object.entries(cases)) runner.it(name, check, timeoutMs);
    runner.afterAll(async () => rm(await root(), { recursive: true, force: true }));
  });
};
