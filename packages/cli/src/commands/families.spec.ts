import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSafetensors } from '@spatialsv/core';
import { writeDataset } from '@spatialsv/vfm-synthetic';
import { parse, stringify } from 'yaml';
import { runForTest } from '../testing/test-run.js';

/** Photographs that are not part of the repository. */
const PHOTOS = fileURLToPath(
  new URL('../../../../../shared/data/real-views/opensfm-berlin/', import.meta.url),
);
if (!existsSync(PHOTOS)) console.warn(`skipped, missing: ${PHOTOS}`);
const photos = ['01.jpg', '02.jpg'].map((name) => join(PHOTOS, name));

const EXAMPLES = fileURLToPath(new URL('../../../../examples/', import.meta.url));

/** A row of the table: the family, and what is its own. */
interface Family {
  readonly id: string;
  /** A setting of the family's small checkpoints. */
  readonly tiny?: string;
  /** A setting of the family. */
  readonly set?: string;
  /** A file of `examples/`, whose training this is on what there is here. */
  readonly example?: string;
  /** Rows and columns of a photograph with the tiny checkpoint. */
  readonly grid: readonly [number, number];
}

const FAMILIES: readonly Family[] = [
  { id: 'internvl3', set: 'maxTiles=6', example: 'internvl3.yaml', grid: [16, 24] },
  { id: 'internvl3', tiny: 'layout=native', set: 'numberImages=true', grid: [8, 8] },
  { id: 'llava-next-video', set: 'frame=squash', example: 'llava-next-video.yaml', grid: [4, 4] },
  { id: 'llava-next-video-siglip', set: 'newline=frame', grid: [4, 4] },
  { id: 'llava-onevision', grid: [5, 7] },
  { id: 'llava-onevision-1.5', example: 'llava-onevision-1.5.yaml', grid: [6, 9] },
];

const root = mkdtempSync(join(tmpdir(), 'spatialsv-families-'));
const data = join(root, 'data');
const rows = join(data, 'raw/MindCube_tinybench.jsonl');

beforeAll(async () => {
  const rooms = { folder: data, scenes: 2, seed: 1, split: 'tinybench' } as const;
  const size = { width: 56, height: 56, views: 2, questionsPerScene: 1 };
  await writeDataset({ ...rooms, ...size, preface: false });
});

afterAll(() => rmSync(root, { recursive: true }));

const succeed = async (...args: string[]) => {
  const { exitCode, out, err } = await runForTest(args);
  expect({ exitCode, err: exitCode === 0 ? '' : err }).toEqual({ exitCode: 0, err: '' });
  return out;
};

const named = FAMILIES.map(
  (family) => [[family.id, family.tiny ?? []].flat().join(' '), family] as const,
);

describe.each(named)('%s', (name, { id, tiny, set, example, grid }) => {
  const model = join(root, name);
  const run = join(root, `${name}-run`);
  const trained = join(run, 'checkpoints/step-2');
  const withSetting = set === undefined ? [] : ['--set', set];

  it('is written small, trained with every loss on rendered rooms, and measured', async () => {
    const size = ['--hidden-size', '32', '--layers', '4', '--attention-heads', '2'];
    const ofTiny = tiny === undefined ? [] : ['--set', tiny];
    await succeed('tiny', '--family', id, '--out', model, ...size, ...ofTiny);
    const config = join(root, `${name}.yaml`);
    const rooms = { format: 'mindcube', path: rows, prompt: 'plain', limit: 1 };
    const here = {
      ...(example !== undefined && parse(readFileSync(join(EXAMPLES, example), 'utf8'))),
      ...{ model, out: run, data: [rooms], source: { name: 'synthetic' } },
      heads: { preset: 'tiny', outputScale: 4 },
      // One program to compile, with what every loss needs.
      losses: { gradientScales: 1, normalScales: 1, outlierQuantile: null },
      ...{ batchSize: 1, schedule: { steps: 2 } },
    };
    writeFileSync(config, stringify(here));
    await succeed('train', config);
    const metrics = readFileSync(join(run, 'metrics.jsonl'), 'utf8').trim().split('\n');
    expect(metrics).toHaveLength(2);
    for (const line of metrics) {
      const { losses } = JSON.parse(line) as { losses: Record<string, number | null> };
      // A term that is left out is 0.
      for (const term of ['text', 'distillation', 'depth', 'point', 'ray']) {
        expect(losses).toHaveProperty(term, expect.any(Number));
        expect([term, losses[term]]).not.toEqual([term, 0]);
      }
    }
    const out = join(root, `${name}-eval`);
    const args = ['--benchmark', 'mindcube', '--data', data, '--out', out];
    const results = await succeed(
      ...['eval', '--model', trained, ...args, '--max-new-tokens', '2', '--json', ...withSetting],
    );
    expect(JSON.parse(results)).toMatchObject({ overall: { total: 2 } });
  });

  (existsSync(PHOTOS) ? it : it.skip)(
    'is tapped, asked and lifted on photographs (skipped where they are missing)',
    async () => {
      const onPhotos = ['--model', trained, '--images', ...photos, ...withSetting];
      const taps = join(root, `${name}-taps.safetensors`);
      const question = ['--question', 'What is nearest?'];
      await succeed(
        'taps',
        ...onPhotos,
        ...question,
        '--out',
        taps,
        '--sites',
        'projector,vision:1',
      );
      const reader = await openSafetensors(taps);
      expect(await reader.readFloat32('grid')).toEqual(Float32Array.from([...grid, ...grid]));
      expect(reader.names).toEqual(expect.arrayContaining(['logits', 'projector.1', 'vision.1.0']));
      const asked = await succeed(
        'ask',
        ...onPhotos,
        ...question,
        '--max-new-tokens',
        '3',
        '--json',
      );
      expect(JSON.parse(asked)).toMatchObject({ answer: expect.any(String) });
      const lifted = join(root, `${name}-lifted`);
      await succeed('lift', ...onPhotos, '--out', lifted);
      expect(existsSync(join(lifted, 'index.html'))).toBe(true);
    },
  );
});
