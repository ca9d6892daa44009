import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createRandom, openWeights, type Tensor, tf } from '@spatialsv/core/kit';
import type { RgbImage } from '@spatialsv/core/spec';
import { withTemporaryFolder } from '@spatialsv/core/testing';
import type { CheckpointLayout } from './model-type.js';
import { internVl3 } from './plugin.js';
import { writeTinyInternVl3 } from './tiny-checkpoint.js';
import type { InternVl3TinyOptions } from './tiny-config.js';

const LAYOUTS: readonly CheckpointLayout[] = ['original', 'native'];
const vision = { depth: 2, hiddenSize: 32, heads: 2, tileSize: 56 };
const question = 'Which object is nearest to the red chair?';

const noise = (height: number, width: number, seed: number): RgbImage => {
  const random = createRandom(seed);
  const data = Uint8Array.from({ length: height * width * 3 }, () => random.integer(256));
  return { data, height, width };
};

const flat = (level: number): RgbImage => ({
  data: new Uint8Array(56 * 56 * 3).fill(level),
  height: 56,
  width: 56,
});

/** A small checkpoint in a folder that is gone afterwards. */
const withTiny = (
  options: Partial<InternVl3TinyOptions>,
  use: (folder: string) => Promise<void>,
): Promise<void> =>
  withTemporaryFolder(async (folder) => {
    const sizes = { hiddenSize: 32, layers: 2, heads: 2, vision };
    await writeTinyInternVl3({ folder, seed: 1, corpus: [question, 'A'], ...sizes, ...options });
    await use(folder);
  });

beforeAll(() => tf.setBackend('cpu'));

describe.each(LAYOUTS)('a tiny checkpoint, %s layout', (layout) => {
  it('opens with all parts', () =>
    withTiny({ layout, layers: 4 }, async (folder) => {
      const config = JSON.parse(await readFile(path.join(folder, 'config.json'), 'utf8'));
      expect(internVl3.accepts(config)).toBe(true);
      const model = await internVl3.open(folder);
      expect(model.config).toMatchObject({ layers: 4, hiddenSize: 32, heads: 2, kvHeads: 1 });
      expect(model.config).toMatchObject({ positionRows: 1, visionBlocks: 2 });
      expect(model.config.defaultTaps).toEqual([1, 2, 3, 4]);
      expect(model.config.learningRates).toEqual({
        ...{ languageModel: 1e-5, projector: 1e-5 },
        spatial: 1e-5,
      });
      expect(model.config.generation.endOfTurnIds).toHaveLength(2);
      expect(model.config.model).toBeUndefined();
    }));

  it('prepares ids, labels, positions and grids', () =>
    withTiny({ layout }, async (folder) => {
      const model = await internVl3.open(folder);
      const images = [noise(60, 90, 1), noise(90, 60, 2)];
      const inputs = await model.prepare({ images, question, answer: 'A' });
      const tokens = inputs.inputIds.length;
      expect([...inputs.positions]).toEqual([...Array(tokens).keys()]);
      expect(inputs.nextPosition).toBe(tokens);
      expect(inputs.grids[0]!.tokenIndex).toHaveLength(4);
      const visual = [...inputs.spliceIndex].filter((index) => index >= tokens);
      expect(visual).toEqual(Array.from({ length: 8 }, (_, i) => tokens + i));
      const answered = [...inputs.labels].filter((label) => label !== -100);
      expect(answered).toEqual([...inputs.inputIds.slice(-2)]);
      expect(model.decodeTokens(answered)).toBe('A');
    }));

  it('sees colour in the frozen tower', () =>
    withTiny({ layout, vision: { ...vision, hiddenSize: 48 } }, async (folder) => {
      const model = await internVl3.open(folder);
      const reader = await openWeights(folder);
      const weights: Record<string, Tensor> = {};
      for (const name of reader.names)
        weights[name] = tf.tensor(await reader.readFloat32(name), [...reader.info(name).shape]);
      const features = async (image: RgbImage) => {
        const { views } = await model.prepare({ images: [image], question });
        const { pixelValues, pixelShape, layout: tiles } = views[0]!;
        const pixels = tf.tensor(pixelValues, [...pixelShape]);
        const { features: rows } = model.encodeView(weights, pixels, tiles);
        return tf.div(rows, tf.norm(rows, 'euclidean', 1, true));
      };
      const [grey, white] = [await features(flat(160)), await features(flat(255))];
      const cosine = tf.mean(tf.sum(tf.mul(grey, white), 1)).dataSync()[0]!;
      expect(cosine).toBeLessThan(0.97);
    }));

  it('is reproducible, and stored in 16 bits when asked', () =>
    withTiny({ layout, storedAs: 'BF16', tieHead: true }, async (folder) => {
      const bytes = () => readFile(path.join(folder, 'model.safetensors'));
      const first = await bytes();
      const reader = await openWeights(folder);
      expect(new Set(reader.names.map((name) => reader.info(name).dtype))).toEqual(
        new Set(['BF16']),
      );
      expect(reader.names).not.toContain('language_model.lm_head.weight');
      const options = { folder, seed: 1, corpus: [question, 'A'], hiddenSize: 32, layers: 2 };
      const same = {
        ...options,
        heads: 2,
        vision,
        layout,
        storedAs: 'BF16',
        tieHead: true,
      } as const;
      await writeTinyInternVl3(same);
      expect((await bytes()).equals(first)).toBe(true);
      await writeTinyInternVl3({ ...same, seed: 2 });
      expect((await bytes()).equals(first)).toBe(false);
    }));

  it('refuses placeholders in texts, and images of extreme shape by name', () =>
    withTiny({ layout }, async (folder) => {
      const model = await internVl3.open(folder);
      const images = [noise(56, 56, 1)];
      for (const placeholder of ['<IMG_CONTEXT>', '<image>', '<video>']) {
        const refused = model.prepare({ images, question: `a ${placeholder}` });
        await expect(refused).rejects.toMatchObject({
          code: 'DATA_INVALID',
          message: expect.stringContaining(placeholder),
        });
      }
      await expect(model.prepare({ images: [noise(1, 4000, 1)], question })).rejects.toMatchObject({
        code: 'IMAGE_INVALID',
        message: expect.stringContaining('4000×1'),
      });
    }));
});

describe('writeTiny', () => {
  it('takes the layout as a setting, and no other', () =>
    withTemporaryFolder(async (folder) => {
      const options = { folder, seed: 1, hiddenSize: 16, layers: 1, heads: 2 };
      await internVl3.writeTiny({ ...options, settings: { layout: 'native' } });
      const config = JSON.parse(await readFile(path.join(folder, 'config.json'), 'utf8'));
      expect(config.model_type).toBe('internvl');
      for (const settings of [{ layout: 'other' }, { tiles: 3 }])
        await expect(internVl3.writeTiny({ ...options, settings })).rejects.toMatchObject({
          code: 'CONFIG_INVALID',
          hint: 'It takes layout.',
        });
    }));

  it('refuses sizes that do not fit', async () => {
    const bad = { folder: '/nowhere', seed: 1 };
    const wrong = [{ hiddenSize: 100, heads: 8 }, { vision: { tileSize: 60 } }];
    for (const sizes of wrong)
      await expect(writeTinyInternVl3({ ...bad, ...sizes })).rejects.toMatchObject({
        code: 'USAGE',
      });
  });
});

describe('the tokenizer files of original folders', () => {
  it('may be vocab.json, merges.txt and added_tokens.json', () =>
    withTiny({ layout: 'original' }, async (folder) => {
      const file = path.join(folder, 'tokenizer.json');
      const { model, added_tokens } = JSON.parse(await readFile(file, 'utf8'));
      const idsOf = async () => {
        const opened = await internVl3.open(folder);
        const images = [noise(56, 56, 1), noise(56, 56, 2)];
        return [...(await opened.prepare({ images, question })).inputIds];
      };
      const expected = await idsOf();
      const added = (added_tokens as { content: string; id: number }[]).map(
        ({ content, id }) => [content, id] as const,
      );
      const files = {
        'vocab.json': JSON.stringify(model.vocab),
        'merges.txt': `#version: 0.2\n${model.merges.join('\n')}\n`,
        'added_tokens.json': JSON.stringify(Object.fromEntries(added)),
      };
      await rm(file);
      for (const [name, text] of Object.entries(files))
        await writeFile(path.join(folder, name), text);
      expect(await idsOf()).toEqual(expected);
    }));
});

describe('prompts', () => {
  const textOf = async (
    folder: string,
    settings: Readonly<Record<string, unknown>>,
    count: number,
  ) => {
    const model = await internVl3.open(folder, { settings });
    const images = Array.from({ length: count }, (_, i) => noise(56, 56, i));
    const { inputIds } = await model.prepare({ images, question: 'x' });
    return model.decodeTokens([...inputIds]);
  };

  it('number several views in the original layout, unless told otherwise', () =>
    withTiny({ layout: 'original' }, async (folder) => {
      expect(await textOf(folder, {}, 2)).toContain('user\nImage-1: \nImage-2: \nx');
      expect(await textOf(folder, {}, 1)).toContain('user\n\nx');
      expect(await textOf(folder, { numberImages: false }, 2)).toContain('user\n\n\nx');
    }));

  it('number views in the layout of transformers when told so', () =>
    withTiny({ layout: 'native' }, async (folder) => {
      expect(await textOf(folder, {}, 2)).toContain('user\n\n\nx');
      expect(await textOf(folder, { numberImages: true }, 2)).toContain(
        'user\nImage-1: \nImage-2: \nx',
      );
    }));

  it.each([
    ['original', 'user\nFront:  Left:  What is nearer?'],
    ['native', 'user\nFront: \n Left: \n What is nearer?'],
  ] as const)('place views inside of the text, in the %s layout', (layout, expected) =>
    withTiny({ layout }, async (folder) => {
      const model = await internVl3.open(folder);
      const image = { type: 'image' } as const;
      const text = (words: string) => ({ type: 'text', text: words }) as const;
      const parts = [text('Front: '), image, text(' Left: '), image, text(' What is nearer?')];
      const images = [noise(56, 56, 1), noise(56, 56, 2)];
      const asked = { images, question: 'Front:  Left:  What is nearer?', parts };
      const { inputIds, grids } = await model.prepare(asked);
      expect(model.decodeTokens([...inputIds])).toContain(expected);
      const between = inputIds.subarray(grids[0]!.tokenIndex.at(-1)! + 1, grids[1]!.tokenIndex[0]);
      expect(model.decodeTokens([...between])).toContain('Left: ');
    }),
  );

  it('take the markers of the first converted checkpoints', () =>
    withTiny({ layout: 'native' }, async (folder) => {
      const file = path.join(folder, 'chat_template.jinja');
      const template = await readFile(file, 'utf8');
      const idsOf = async () => {
        const model = await internVl3.open(folder);
        const images = [noise(56, 56, 1), noise(56, 56, 2)];
        return [...(await model.prepare({ images, question })).inputIds];
      };
      const expected = await idsOf();
      await writeFile(file, template.replace('<IMG_CONTEXT>', '<image>'));
      expect(await idsOf()).toEqual(expected);
      await writeFile(file, '{{ messages[0].role }}');
      await expect(idsOf()).rejects.toMatchObject({ code: 'FILE_INVALID' });
      await rm(file);
      await expect(internVl3.open(folder)).rejects.toMatchObject({ code: 'FILE_MISSING' });
    }));
});
