import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  imagesFirst,
  makeCellView,
  readCellImages,
  readImage,
  renderPrompt,
  tf,
} from '@spatialsv/core/kit';
import { expectAllclose, type Golden, readGolden, sampledValues } from '@spatialsv/core/testing';
import { GOLDEN, type GoldenCase, openGoldenCase } from './__fixtures__/golden.js';
import { writeTinyQwen25Vl } from './tiny-checkpoint.js';

const folder = path.join(GOLDEN, 'processor');
const open = (name: string) => readImage(path.join(folder, name));

let golden: Golden;
let opened: GoldenCase;

beforeAll(async () => {
  await tf.setBackend('cpu');
  golden = await readGolden(folder);
  opened = await openGoldenCase('tied');
});

afterAll(() => rm(opened.folder, { recursive: true }));

describe('image processor beside transformers', () => {
  const config = readCellImages({ min_pixels: 784 }, 'preprocessor_config.json', {
    patchSize: 14,
    frames: 2,
    mergeSize: 2,
  });

  const normalised = (level: number, channel: number) =>
    (level / 255 - config.mean[channel]!) / config.std[channel]!;

  /** Patches, in the layout that the golden script undid, of the stored grey levels (h', w', 3). */
  const expectedPatches = (name: string): Float32Array => {
    const [height, width] = golden.shape(name) as [number, number, number];
    const levels = golden.int32(name);
    const values: number[] = [];
    for (let patch = 0; patch < (height * width) / 196; patch++) {
      const cell = Math.floor(patch / 4);
      const top = 28 * Math.floor(cell / (width / 28)) + 14 * Math.floor((patch % 4) / 2);
      const left = 28 * (cell % (width / 28)) + 14 * (patch % 2);
      for (let i = 0; i < 1176; i++) {
        const channel = Math.floor(i / 392);
        const y = top + Math.floor((i % 196) / 14);
        const x = left + (i % 14);
        values.push(normalised(levels[(y * width + x) * 3 + channel]!, channel));
      }
    }
    return Float32Array.from(values);
  };

  it.each([
    ['wide.png', [1, 6, 10], 0],
    ['small.png', [1, 4, 6], 0],
    ['tall.jpg', [1, 8, 6], 2],
  ])('has the grid and the pixel values of %s', async (name, grid, levels) => {
    const { pixelValues, layout } = makeCellView(await open(name), config);
    expect([1, layout.rows, layout.columns]).toEqual(grid);
    const tolerance = { rtol: 0, atol: 1e-5 + levels / 255 / Math.min(...config.std) };
    expectAllclose(pixelValues, expectedPatches(name), tolerance);
    const { samples } = golden.info as { samples: number };
    expectAllclose(
      sampledValues(pixelValues, samples),
      golden.float32(`values.${name}`),
      tolerance,
    );
  });
});

describe('prompts beside transformers', () => {
  interface Prompt {
    readonly system: string | null;
    readonly images: readonly string[];
    readonly text: string;
    readonly ids: readonly number[];
  }

  it('has equal text from the hand-written renderer and equal ids from the template', async () => {
    const { question, prompts } = golden.info as { question: string; prompts: Prompt[] };
    expect(prompts).toHaveLength(6);
    for (const prompt of prompts) {
      const system = prompt.system === null ? {} : { system: prompt.system };
      const rendered = renderPrompt({
        ...system,
        content: imagesFirst(prompt.images.length, question),
      });
      expect(rendered).toBe(prompt.text);
      const images = await Promise.all(prompt.images.map(open));
      const { inputIds } = await opened.model.prepare({ ...system, question, images });
      expect([...inputIds]).toEqual(prompt.ids);
    }
  });

  it('has equal ids for other texts', async () => {
    const { encoded } = golden.info as { encoded: { text: string; ids: number[] }[] };
    for (const { text, ids } of encoded) {
      const { inputIds, labels } = await opened.model.prepare({
        images: [],
        question: '',
        answer: text,
      });
      const answer = [...inputIds].filter((_, i) => labels[i] !== -100);
      expect(answer.slice(0, -2)).toEqual(ids);
    }
  });
});

describe('the golden folder', () => {
  it('is what writeTiny writes', async () => {
    const target = await mkdtemp(path.join(tmpdir(), 'qwen25vl-'));
    const options = JSON.parse(await readFile(path.join(GOLDEN, 'options.json'), 'utf8'));
    await writeTinyQwen25Vl({ ...options, folder: target });
    for (const name of await readdir(path.join(GOLDEN, 'checkpoint'))) {
      const expected = await readFile(path.join(GOLDEN, 'checkpoint', name), 'utf8');
      expect(await readFile(path.join(target, name), 'utf8')).toBe(expected);
    }
    await rm(target, { recursive: true });
  });
});
