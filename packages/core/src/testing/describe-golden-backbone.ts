import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import {
  compile,
  type DeviceTensor,
  float32,
  int32,
  ops,
  ProgramCache,
  type Tensor,
  tf,
} from '@spatialsv/engine';
import { CompiledDecoder, decodeSequence, embedSequence, padSequence } from '../decoding/index.js';
import { readImage } from '../images/index.js';
import type { BackboneV1, Parameters, PreparedInputsV1 } from '../spec.js';
import { expectAllclose } from './allclose.js';
import { type Golden, readGolden } from './golden.js';
import { type BackboneOutputs, runBackbone } from './run-backbone.js';
import { globalRunner, once, type TestRunner } from './test-runner.js';

/**
 * What `case.json` says beside its provenance. Vectors, float32 unless said: `input_ids` and `labels` (T) int32 of question
 * and answer; `pixels.N` of view N; `vision.K` (all views' patches, Cv) after K blocks; `projector` (all visual rows, C);
 * `hidden.L` (T, C); `logits` (T, K); `loss`; `gradient.NAME` of the text loss; `greedy_ids` (steps) int32 and
 * `greedy_logits` (steps, K) after the prompt. Tensors of more than 2 · `samples` values are stored as that many evenly
 * spread ones, with their Euclidean norm in `norm.` and their name.
 */
export interface GoldenBackboneInfo {
  /** Image files, relative to the folder of the case. */
  readonly images: readonly string[];
  readonly question: string;
  readonly answer: string;
  readonly system?: string | null;
  /** Tokens before the answer. */
  readonly promptLength: number;
  readonly samples: number;
  /** Relative to the largest magnitude of a tensor; of pixels absolute. */
  readonly tolerance: {
    readonly pixels: number;
    readonly states: number;
    readonly gradients: number;
  };
}

export interface OpenedGoldenBackbone {
  readonly backbone: BackboneV1;
  /** Host values of a weight. */
  readonly weight: (name: string) => Float32Array;
}

export interface GoldenBackboneOptions {
  /** Folder with `case.json` and `vectors.safetensors`. */
  readonly folder: string;
  /** Opens the checkpoint of the case, once. */
  readonly open: (info: GoldenBackboneInfo) => Promise<OpenedGoldenBackbone>;
  readonly timeoutMs?: number;
  readonly runner?: TestRunner;
}

/** The values that a case stores of a tensor. */
export const sampledValues = (values: Float32Array, samples: number): Float32Array =>
  values.length <= 2 * samples
    ? values
    : Float32Array.from(
        { length: samples },
        (_, k) => values[Math.floor((k * values.length) / samples)]!,
      );

interface Opened extends OpenedGoldenBackbone {
  readonly golden: Golden<GoldenBackboneInfo>;
  readonly info: GoldenBackboneInfo;
  /** Question and answer. */
  readonly inputs: PreparedInputsV1;
}

const openCase = async ({ folder, open }: GoldenBackboneOptions): Promise<Opened> => {
  const golden = await readGolden<GoldenBackboneInfo>(folder);
  const { info } = golden;
  const opened = await open(info);
  const images = await Promise.all(info.images.map((file) => readImage(path.join(folder, file))));
  const { question, answer, system } = info;
  const inputs = await opened.backbone.prepare({
    images,
    question,
    answer,
    ...(typeof system === 'string' && { system }),
  });
  return { ...opened, golden, info, inputs };
};

/** Compares a tensor with what is stored of it. @param atol absolute tolerance. */
const expectStored = (
  { golden, info }: Opened,
  name: string,
  values: Float32Array,
  atol: (largest: number) => number,
): void => {
  const expected = golden.float32(name);
  const found = sampledValues(values, info.samples);
  assert.equal(found.length, expected.length, `${name}: number of values`);
  const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  expectAllclose(found, expected, { rtol: 0, atol: atol(largest) });
  if (!golden.names.includes(`norm.${name}`)) return;
  const norm = Math.hypot(...values);
  const stored = golden.float32(`norm.${name}`)[0]!;
  const relative = atol(largest) / largest;
  assert.ok(Math.abs(norm - stored) <= relative * stored, `${name}: norm ${norm} for ${stored}`);
};

const expectState = (opened: Opened, name: string, values: Float32Array): void =>
  expectStored(opened, name, values, (largest) => opened.info.tolerance.states * largest);

const concatenated = (parts: readonly Float32Array[]): Float32Array => {
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
};

const checkIds = ({ golden, inputs, info }: Opened): void => {
  assert.deepEqual([...inputs.inputIds], [...golden.int32('input_ids')]);
  assert.deepEqual([...inputs.labels], [...golden.int32('labels')]);
  assert.equal(
    inputs.labels.findIndex((label) => label >= 0),
    info.promptLength,
  );
};

const checkPixels = (opened: Opened): void => {
  const { inputs, info } = opened;
  for (const [view, { pixelValues }] of inputs.views.entries())
    expectStored(opened, `pixels.${view}`, pixelValues, () => info.tolerance.pixels);
};

const checkViews = (opened: Opened, { views }: BackboneOutputs): void => {
  const blocks = opened.backbone.config.visionBlocks;
  for (let block = 0; block <= blocks; block++) {
    const states = views.map((view) => view.states[block]!.data);
    expectState(opened, `vision.${block}`, concatenated(states));
  }
  expectState(opened, 'projector', concatenated(views.map(({ rows }) => rows.data)));
};

const checkHidden = (opened: Opened, { hidden }: BackboneOutputs): void => {
  for (const [layer, state] of hidden.entries()) expectState(opened, `hidden.${layer}`, state);
};

const withDecoder = async <Result>(
  { backbone }: Opened,
  use: (decoder: CompiledDecoder) => Promise<Result>,
): Promise<Result> => {
  const { decoder, config: sizes, weights } = backbone;
  const programs = new ProgramCache(8);
  try {
    return await use(new CompiledDecoder({ decoder, sizes, weights, programs }));
  } finally {
    await programs.dispose();
  }
};

const visualRows = ({ views }: BackboneOutputs): Float32Array =>
  concatenated(views.map(({ rows }) => rows.data));

const checkLogits = (opened: Opened, outputs: BackboneOutputs): Promise<void> =>
  withDecoder(opened, async (decoder) => {
    const request = { taps: [], logits: true };
    const sequence = padSequence(opened.inputs);
    const { logits } = await decoder.forward(sequence, visualRows(outputs), request);
    expectState(opened, 'logits', logits!);
  });

/** The first tokens of a prepared conversation. */
const promptOf = ({ inputs, info }: Opened): PreparedInputsV1 => {
  const tokens = inputs.inputIds.length;
  const { promptLength } = info;
  const rows = [...Array(inputs.positionRows).keys()];
  return {
    ...inputs,
    inputIds: inputs.inputIds.slice(0, promptLength),
    labels: inputs.labels.slice(0, promptLength),
    positions: Int32Array.from(
      rows.flatMap((row) => [...inputs.positions.slice(row * tokens, row * tokens + promptLength)]),
    ),
    // Text behind the views counts on by one.
    nextPosition: inputs.nextPosition - (tokens - promptLength),
    spliceIndex: inputs.spliceIndex
      .slice(0, promptLength)
      .map((index) => (index < tokens ? index : index - tokens + promptLength)),
  };
};

const largestIndex = (values: Float32Array): number =>
  values.reduce((best, value, i) => (value > values[best]! ? i : best), 0);

const checkGreedy = (opened: Opened, outputs: BackboneOutputs): Promise<void> =>
  withDecoder(opened, async (decoder) => {
    const expected = opened.golden.int32('greedy_ids');
    const prompt = promptOf(opened);
    const sequence = padSequence(prompt);
    const tokens = prompt.inputIds.length;
    const seen = [...Array(tokens).keys()];
    const cache = decoder.createCache(tokens + expected.length + 1);
    const steps: Float32Array[] = [];
    const ids: number[] = [];
    try {
      let logits = await decoder.prefill(sequence, visualRows(outputs), cache, seen);
      for (const step of expected.keys()) {
        const id = largestIndex(logits);
        steps.push(logits);
        ids.push(id);
        const positions = new Int32Array(prompt.positionRows).fill(prompt.nextPosition + step);
        const next = { inputIds: Int32Array.of(id), positions, slots: [tokens + step] };
        [logits] = (await decoder.extend(cache, [{ ...next, seen: seen.slice() }])) as [
          Float32Array,
        ];
        seen.push(tokens + step);
      }
    } finally {
      cache.dispose();
    }
    assert.deepEqual(ids, [...expected]);
    expectState(opened, 'greedy_logits', concatenated(steps));
  });

// ---------------------------------------------------------------------------------------------- gradients

type Named = Record<string, Tensor>;

const lossInputs = ({ inputs }: Opened) => {
  const shifted = Int32Array.from(inputs.labels, (_, i) => inputs.labels[i + 1] ?? -100);
  return {
    ...Object.fromEntries(inputs.views.map((view, i) => [`pixels${i}`, view.pixelValues])),
    inputIds: inputs.inputIds,
    spliceIndex: inputs.spliceIndex,
    positions: inputs.positions,
    targets: shifted.map((label) => Math.max(label, 0)),
    targetWeights: Float32Array.from(shifted, (label) => (label < 0 ? 0 : 1)),
  };
};

const lossSpecs = ({ inputs }: Opened) => {
  const tokens = inputs.inputIds.length;
  return {
    ...Object.fromEntries(
      inputs.views.map((view, i) => [`pixels${i}`, float32(...view.pixelShape)]),
    ),
    inputIds: int32(tokens),
    spliceIndex: int32(tokens),
    positions: int32(inputs.positionRows, tokens),
    targets: int32(tokens),
    targetWeights: float32(tokens),
  };
};

/** Mean cross-entropy over the labels, from pixels and ids. */
const textLoss = ({ backbone, inputs }: Opened, parameters: Parameters, given: Named): Tensor => {
  const { decoder } = backbone;
  const rows = inputs.views.map(({ layout }, i) => {
    const { features } = backbone.encodeView(parameters, given[`pixels${i}`]!, layout);
    return backbone.projectView(parameters, features, layout);
  });
  const sequence = { inputIds: given['inputIds']!, spliceIndex: given['spliceIndex']! };
  const embeddings = embedSequence(decoder, parameters, {
    ...sequence,
    visualRows: tf.concat(rows, 0),
  });
  const at = { embeddings, positions: given['positions']! };
  const { last } = decodeSequence(decoder, parameters, at, { taps: [], last: true });
  const weights = given['targetWeights']!;
  const logits = decoder.logits(parameters, last!);
  return tf.div(ops.crossEntropySum(logits, given['targets']!, weights), tf.sum(weights));
};

interface LossInputs {
  readonly trained: Parameters;
  readonly frozen: Parameters;
  readonly inputs: Named;
}

const checkGradients = async (opened: Opened): Promise<void> => {
  const { backbone, golden, info, weight } = opened;
  const names = golden.names
    .filter((name) => name.startsWith('gradient.'))
    .map((name) => name.slice('gradient.'.length));
  assert.ok(names.length > 0, 'the case has no gradients');
  const frozen = Object.entries(backbone.weights).filter(([name]) => !names.includes(name));
  const program = await compile(
    ({ trained, frozen: fixed, inputs }: LossInputs) => ({
      loss: textLoss(opened, { ...fixed, ...trained }, inputs),
    }),
    {
      trained: Object.fromEntries(
        names.map((name) => [name, float32(...backbone.weights[name]!.shape)]),
      ),
      frozen: Object.fromEntries(frozen),
      inputs: lossSpecs(opened),
    },
    { gradients: ['trained'] },
  );
  const trained = Object.fromEntries(names.map((name) => [name, weight(name)]));
  const out = (await program.run({ trained, frozen: {}, inputs: lossInputs(opened) })) as {
    loss: DeviceTensor;
    gradients: { trained: Readonly<Record<string, DeviceTensor>> };
  };
  expectState(opened, 'loss', (await out.loss.read()) as Float32Array);
  for (const name of names) {
    const gradient = (await out.gradients.trained[name]!.read()) as Float32Array;
    const atol = (largest: number) => info.tolerance.gradients * largest;
    expectStored(opened, `gradient.${name}`, gradient, atol);
  }
  await program.dispose();
};

/**
 * Equality of a backbone with its reference implementation on one case: ids, labels, pixels, every state of tower, projector
 * and decoder, logits, text loss and its gradients, greedy decoding.
 */
export const describeGoldenBackbone = (name: string, options: GoldenBackboneOptions): void => {
  const { timeoutMs = 120_000, runner = globalRunner() } = options;
  const opened = once(() => openCase(options));
  const outputs = once(async () => {
    const { backbone, inputs } = await opened();
    return runBackbone(backbone, inputs);
  });
  const cases: Readonly<Record<string, () => Promise<void>>> = {
    'has equal ids and labels': async () => checkIds(await opened()),
    'has the pixel values': async () => checkPixels(await opened()),
    'has the states of tower and projector': async () =>
      checkViews(await opened(), await outputs()),
    'has the hidden states': async () => checkHidden(await opened(), await outputs()),
    'has the logits': async () => checkLogits(await opened(), await outputs()),
    'has the text loss and its gradients': async () => checkGradients(await opened()),
    'answers greedily with the same tokens': async () =>
      checkGreedy(await opened(), await outputs()),
  };
  runner.describe(name, () => {
    for (const [what, check] of Object.entries(cases)) runner.it(what, check, timeoutMs);
    runner.afterAll(async () =>
      rm((await opened()).backbone.folder, { recursive: true, force: true }),
    );
  });
};
