import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  compile,
  createRandom,
  type DeviceTensor,
  defaultTaps,
  float32,
  imagesFirst,
  int32,
  openWeights,
  ops,
  renderPrompt,
  type Tensor,
  tf,
} from '@spatialsv/core/kit';
import type { BackboneV1, ConversationPartV1, RgbImage } from '@spatialsv/core/spec';
import { goldenInputShapes, goldenInputs, goldenProgram } from './__fixtures__/golden.js';
import { qwen25Vl } from './plugin.js';
import { PUBLISHED_TAPS } from './qwen25vl-backbone.js';
import { writeTinyQwen25Vl } from './tiny-checkpoint.js';

const noise = (height: number, width: number, seed: number): RgbImage => {
  const random = createRandom(seed);
  const data = Uint8Array.from({ length: height * width * 3 }, () => random.integer(256));
  return { data, height, width };
};

const loadWeights = async (folder: string): Promise<Record<string, Tensor>> => {
  const reader = await openWeights(folder);
  const entries = reader.names.map(async (name) => {
    const shape = [...reader.info(name).shape];
    return [name, tf.tensor(await reader.readFloat32(name), shape)] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
};

/** Smaller than the default, for tests. */
const vision = { depth: 2, hiddenSize: 48, heads: 2 };

let folder: string;
let model: BackboneV1;

beforeAll(async () => {
  await tf.setBackend('cpu');
  folder = await mkdtemp(path.join(tmpdir(), 'tiny-qwen-'));
  const corpus = ['Which object is nearest to the red chair?', 'A', 'B'];
  await writeTinyQwen25Vl({ folder, seed: 1, corpus, layers: 4, hiddenSize: 64, vision });
  model = await qwen25Vl.open(folder);
});

afterAll(() => rm(folder, { recursive: true }));

describe('writeTiny and open', () => {
  const question = 'Which object is nearest to the red chair?';
  const images = [noise(112, 168, 1), noise(84, 56, 2)];

  it('gives a model with all parts', async () => {
    expect(
      qwen25Vl.accepts(JSON.parse(await readFile(path.join(folder, 'config.json'), 'utf8'))),
    ).toBe(true);
    expect(model.config).toMatchObject({ layers: 4, hiddenSize: 64, heads: 4, kvHeads: 2 });
    expect(model.config.defaultTaps).toEqual([1, 2, 3, 4]);
    expect(model.config.generation.endOfTurnIds).toHaveLength(2);
    expect(Object.keys(model.weights)).toContain('visual.merger.mlp.2.bias');
  });

  it('prepares ids, labels, positions and grids', async () => {
    const inputs = await model.prepare({ images, question, answer: 'A' });
    const tokens = inputs.inputIds.length;
    expect(inputs.views.map((view) => view.layout.key)).toEqual(['8x12', '6x4']);
    expect(inputs.grids[0]).toMatchObject({
      h: 4,
      w: 6,
      toImage: { ax: 28, bx: 0, ay: 28, by: 0 },
    });
    expect(inputs.grids[1]!.tokenIndex[0]).toBe(inputs.grids[0]!.tokenIndex[23]! + 3);
    expect(inputs.positions).toHaveLength(3 * tokens);
    const visual = [...inputs.spliceIndex].filter((index) => index >= tokens);
    expect(visual).toEqual(Array.from({ length: 30 }, (_, i) => tokens + i));
    const answered = [...inputs.labels].filter((label) => label !== -100);
    expect(answered).toEqual([...inputs.inputIds.slice(-3)]);
    expect(model.decodeTokens(answered)).toBe('A\n');
    expect(model.decodeTokens([])).toBe('');
  });

  it('renders the template as the hand-written prompt', async () => {
    for (const system of [undefined, 'Be brief.']) {
      for (const views of [[], images.slice(1)]) {
        const parts = { question, ...(system === undefined ? {} : { system }) };
        const { inputIds } = await model.prepare({ ...parts, images: views });
        const content = imagesFirst(views.length, question);
        const shown = renderPrompt({ content, ...(system !== undefined && { system }) });
        const plain = shown.replaceAll(/<\|[a-z_]+\|>/g, '');
        expect(model.decodeTokens([...inputIds])).toBe(plain);
      }
    }
  });

  it('places images inside of the text', async () => {
    const parts: readonly ConversationPartV1[] = [
      { type: 'text', text: 'Front: ' },
      { type: 'image' },
      { type: 'text', text: ' Left: ' },
      { type: 'image' },
      { type: 'text', text: ' What is nearer?' },
    ];
    const two = [images[0]!, images[1]!];
    const asked = 'Front:  Left:  What is nearer?';
    const { inputIds, grids } = await model.prepare({ images: two, question: asked, parts });
    const text = (from: number, to: number) => model.decodeTokens([...inputIds.subarray(from, to)]);
    const [first, second] = grids.map(({ tokenIndex }) => [tokenIndex[0]!, tokenIndex.at(-1)! + 1]);
    expect(text(0, first![0]!)).toMatch(/user\nFront: $/);
    expect(text(first![1]!, second![0]!)).toBe(' Left: ');
    expect(text(second![1]!, inputIds.length)).toMatch(/^ What is nearer\?/);
    const short = { images: [images[0]!], question: asked, parts };
    await expect(model.prepare(short)).rejects.toThrow(/parts of 1 images .* found 2 images/);
  });

  it('runs from pixels to logits and back to the projector', async () => {
    const inputs = await model.prepare({ images, question, answer: 'B' });
    const merger = 'visual.merger.mlp.0.weight';
    const { [merger]: trained, ...frozen } = model.weights;
    const shapes = Object.entries(goldenInputShapes(inputs));
    const values = goldenInputs(inputs);
    const specs = {
      trained: { [merger]: float32(...trained!.shape) },
      frozen,
      inputs: Object.fromEntries(
        shapes.map(([name, shape]) => [
          name,
          values[name] instanceof Int32Array ? int32(...shape) : float32(...shape),
        ]),
      ),
    };
    type Inputs = Record<'trained' | 'frozen' | 'inputs', Record<string, Tensor>>;
    const program = await compile(
      (given: Inputs) => {
        const parameters = { ...given.frozen, ...given.trained };
        const { logits, loss } = goldenProgram(
          model,
          inputs,
          parameters,
          given.inputs,
          ops.crossEntropySum,
        );
        return { logits, loss };
      },
      specs,
      { gradients: ['trained'] },
    );
    expect(program.outputs).toMatchObject({
      logits: { shape: [inputs.inputIds.length, model.config.vocabularySize] },
    });
    const data = await (await openWeights(folder)).readFloat32(merger);
    const out = await program.run({ trained: { [merger]: data }, frozen: {}, inputs: values });
    const { loss, gradients } = out as {
      loss: DeviceTensor;
      gradients: { trained: Record<string, DeviceTensor> };
    };
    const uniform = Math.log(model.config.vocabularySize);
    expect(Math.abs((await loss.read())[0]! - uniform)).toBeLessThan(1);
    const gradient = await gradients.trained[merger]!.read();
    expect(Math.max(...gradient)).toBeGreaterThan(1e-6);
    await program.dispose();
  });

  it('sees colour and place in the frozen tower', async () => {
    const weights = await loadWeights(folder);
    const flat = (level: number): RgbImage => ({
      data: new Uint8Array(56 * 56 * 3).fill(level),
      height: 56,
      width: 56,
    });
    const features = async (image: RgbImage) => {
      const { views } = await model.prepare({ images: [image], question });
      const pixels = tf.tensor(views[0]!.pixelValues, [...views[0]!.pixelShape]);
      const { features: rows } = model.encodeView(weights, pixels, views[0]!.layout);
      return tf.div(rows, tf.norm(rows, 'euclidean', 1, true));
    };
    const [grey, white] = [await features(flat(160)), await features(flat(255))];
    const cosine = tf.mean(tf.sum(tf.mul(grey, white), 1)).dataSync()[0]!;
    expect(cosine).toBeLessThan(0.97);
  });

  it('refuses placeholders in texts', async () => {
    const refused = model.prepare({ images, question: 'a <|image_pad|>' });
    await expect(refused).rejects.toMatchObject({ code: 'DATA_INVALID' });
  });
});

describe('writeTiny', () => {
  it('is reproducible', async () => {
    const other = await mkdtemp(path.join(tmpdir(), 'tiny-qwen-'));
    const write = (seed: number) =>
      writeTinyQwen25Vl({ folder: other, seed, layers: 1, hiddenSize: 32, vision });
    const bytes = () => readFile(path.join(other, 'model.safetensors'));
    await write(3);
    const first = await bytes();
    await write(3);
    expect((await bytes()).equals(first)).toBe(true);
    await write(4);
    expect((await bytes()).equals(first)).toBe(false);
    await rm(other, { recursive: true });
  });

  it('refuses sizes that do not fit', async () => {
    const bad = writeTinyQwen25Vl({ folder: '/nowhere', seed: 1, hiddenSize: 100, heads: 8 });
    await expect(bad).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('open', () => {
  const copyWith = async (change: Record<string, unknown>, file = 'config.json') => {
    const target = await mkdtemp(path.join(tmpdir(), 'tiny-qwen-'));
    await model.save(target, new Map());
    const text = await readFile(path.join(target, file), 'utf8');
    await writeFile(path.join(target, file), JSON.stringify({ ...JSON.parse(text), ...change }));
    return target;
  };

  it.each([
    ['WEIGHT_MISSING', { num_hidden_layers: 5 }, 'model.layers.4.input_layernorm.weight'],
    ['WEIGHT_UNEXPECTED', { num_hidden_layers: 3 }, 'model.layers.3.'],
    ['WEIGHT_MISSING', { tie_word_embeddings: false }, 'lm_head.weight'],
    ['SHAPE_MISMATCH', { intermediate_size: 191 }, 'model.layers.0.mlp.gate_proj.weight'],
    ['CONFIG_INVALID', { image_token_id: 3 }, '<|image_pad|>'],
  ])('reports %s for %j', async (code, change, named) => {
    const broken = await copyWith(change);
    const message = expect.stringContaining(named);
    await expect(qwen25Vl.open(broken)).rejects.toMatchObject({ code, message });
    await rm(broken, { recursive: true });
  });

  it('reports a template without image places', async () => {
    const broken = await copyWith({});
    await writeFile(
      path.join(broken, 'chat_template.json'),
      '{"chat_template": "{{ messages[0].role }}"}',
    );
    const opened = await qwen25Vl.open(broken);
    const prepared = opened.prepare({ images: [noise(56, 56, 1)], question: 'x' });
    await expect(prepared).rejects.toMatchObject({ code: 'FILE_INVALID' });
    await rm(broken, { recursive: true });
  });

  it('reports a folder that is not there', async () => {
    await expect(qwen25Vl.open('/nowhere/at/all')).rejects.toMatchObject({ code: 'FILE_MISSING' });
  });
});

describe('published taps', () => {
  it.each([
    [36, [4, 12, 20, 28]],
    [28, [3, 10, 17, 24]],
  ])('of %i layers', (layers, taps) => {
    expect(defaultTaps(layers, PUBLISHED_TAPS)).toEqual(taps);
  });
});
