import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  llavaNextVideoSiglip,
  nextVideoSiglipShapes,
  parseNextVideoSiglipConfig,
} from '@spatialsv/adapter-llava';
import { qwen25Vl } from '@spatialsv/adapter-qwen25vl';
import { type BackboneV1, openWeights, type RgbImage, readImage } from '@spatialsv/core';
import { readGolden, writeWideCheckpoint } from '@spatialsv/core/testing';
import { BackboneRunner } from '@spatialsv/eval';

interface Golden {
  readonly question: string;
  readonly input_ids: readonly number[];
  /** By repetition penalty; nothing ends an answer. */
  readonly answers: Readonly<Record<string, readonly number[]>>;
}

/** Levels (7 row + 5 column + 80 channel) mod 256. */
function view(): RgbImage {
  const [height, width] = [56, 84];
  const data = Uint8Array.from({ length: height * width * 3 }, (_, i) => {
    const [row, column] = [Math.floor(i / 3 / width), Math.floor(i / 3) % width];
    return (7 * row + 5 * column + 80 * (i % 3)) % 256;
  });
  return { data, height, width };
}

/** Outputs of attention and MLP of the decoder, 16 times as large: answers vary. */
async function enlarged(from: string): Promise<ReadonlyMap<string, Float32Array>> {
  const reader = await openWeights(from);
  const outputs = reader.names.filter((name) => /^model\..*(o_proj|down_proj)\.weight$/.test(name));
  const entries = outputs.map(async (name) => {
    const values = await reader.readFloat32(name);
    return [name, values.map((value) => 16 * value)] as const;
  });
  return new Map(await Promise.all(entries));
}

let folder: string;
let golden: Golden;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'greedy-'));
  golden = JSON.parse(await readFile(join(__dirname, '__golden__', 'greedy.json'), 'utf8'));
  const plain = join(folder, 'plain');
  await qwen25Vl.writeTiny({ folder: plain, seed: 5, layers: 4, hiddenSize: 64 });
  const { save } = await qwen25Vl.open(plain);
  await save(folder, await enlarged(plain));
});

afterAll(() => rm(folder, { recursive: true }));

/** The reference goes on behind an end token, so that none ends an answer here. */
const open = async (): Promise<BackboneV1> => {
  const backbone = await qwen25Vl.open(folder);
  const generation = { ...backbone.config.generation, endOfTurnIds: [] };
  return { ...backbone, config: { ...backbone.config, generation } };
};

const answer = async (backbone: BackboneV1, repetitionPenalty?: number) => {
  const inputs = await backbone.prepare({ images: [view()], question: golden.question });
  expect([...inputs.inputIds]).toEqual(golden.input_ids);
  const runner = new BackboneRunner(backbone);
  const given = { maxNewTokens: 20, ...(repetitionPenalty !== undefined && { repetitionPenalty }) };
  const { ids } = await runner.generate(inputs, given);
  await runner.dispose();
  return ids;
};

it.each(['1.0', '1.05', '1.3'])('answers as transformers with a penalty of %s', async (penalty) => {
  expect(await answer(await open(), Number(penalty))).toEqual(golden.answers[penalty]);
});

it('takes the penalty of generation_config.json', async () => {
  const file = join(folder, 'generation_config.json');
  const settings = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ ...settings, repetition_penalty: 1.3, do_sample: true }));
  expect(await answer(await open())).toEqual(golden.answers['1.3']);
  await writeFile(file, JSON.stringify(settings));
});

const SIGLIP = join(__dirname, '../../../adapter-llava/src/next-video-siglip/__golden__');

it('penalises the answer alone where the model generates from embeddings', async () => {
  const [source, target] = [join(SIGLIP, 'checkpoint'), join(folder, 'siglip')];
  const config = JSON.parse(await readFile(join(source, 'config.json'), 'utf8'));
  const shapes = nextVideoSiglipShapes(parseNextVideoSiglipConfig(config));
  await writeWideCheckpoint(source, target, shapes);
  const opened = await llavaNextVideoSiglip.open(target);
  const { info } = await readGolden(join(SIGLIP, 'views-2'));
  const { question, penalised, images } = info as {
    question: string;
    images: string[];
    penalised: { penalty: number; ids: number[] };
  };
  const views = await Promise.all(images.map((image) => readImage(join(SIGLIP, 'views-2', image))));
  const inputs = await opened.prepare({ images: views, question });
  const generation = { ...opened.config.generation, endOfTurnIds: [] };
  const answers = [generation, { ...generation, penalisesPrompt: true }].map(async (settings) => {
    const runner = new BackboneRunner({
      ...opened,
      config: { ...opened.config, generation: settings },
    });
    const given = { maxNewTokens: 20, repetitionPenalty: penalised.penalty };
    const { ids } = await runner.generate(inputs, given);
    await runner.dispose();
    return ids;
  });
  const [ofAnswer, ofBoth] = await Promise.all(answers);
  expect(ofAnswer).toEqual(penalised.ids);
  expect(ofBoth).not.toEqual(penalised.ids);
});
