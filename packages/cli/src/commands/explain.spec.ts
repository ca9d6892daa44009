import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRandom } from '@spatialsv/core';
import { writeRecordedQuestions } from '@spatialsv/eval';
import { writeLift } from '@spatialsv/inspect';
import sharp from 'sharp';
import { HEAD_CONVENTIONS } from '../lifts/heads.js';
import { liftFile } from '../lifts/lift-questions.js';
import { runForTest } from '../testing/test-run.js';

const root = mkdtempSync(join(tmpdir(), 'spatialsv-explain-'));
afterAll(() => rmSync(root, { recursive: true }));

const SETS = 24;
const QUESTIONS = 2 * SETS;
const size = { views: 2, height: 4, width: 6 };
const pixels = size.views * size.height * size.width;

const question = (i: number) => ({
  index: i,
  key: `q${i}`,
  views: `v${i % SETS}`,
  text: `Question ${i} with <b>tags</b>: where is the chair? A. left B. right`,
  images: ['a.png', 'b.png'],
});

/** Labels of depth 1…2 with cameras side by side. */
function labelsOf() {
  const depth = Float32Array.from({ length: pixels }, (_, i) => 1 + (i % 7) / 7);
  return {
    conventions: HEAD_CONVENTIONS,
    ...size,
    depth,
    mask: new Uint8Array(pixels).fill(1),
    intrinsics: Float32Array.from([0, 1].flatMap(() => [5, 0, 3, 0, 5, 2, 0, 0, 1])),
    extrinsicsWorldToCamera: Float32Array.from(
      [0, 1].flatMap((view) => [1, 0, 0, 0.3 * view, 0, 1, 0, 0, 0, 0, 1, 0]),
    ),
  };
}

interface Made {
  /** Depth error of a view set. */
  readonly error: (set: number) => number;
  readonly isRight: (i: number) => boolean;
  readonly labelSource?: string;
  readonly lifts?: boolean;
}

/** A run folder as `eval --lift --labels` leaves it. */
async function makeRun(
  name: string,
  { error, isRight, labelSource = 'exact', lifts = true }: Made,
) {
  const folder = join(root, name);
  mkdirSync(join(folder, 'lifts'), { recursive: true });
  const record = {
    version: 1,
    benchmark: 'mindcube',
    variant: 'official',
    weights: name,
    prompt: 'p',
    settings: {},
    versions: {},
    data: { questions: QUESTIONS, sha256: 'same' },
  };
  writeFileSync(join(folder, 'evaluation.json'), JSON.stringify(record));
  const questions = Array.from({ length: QUESTIONS }, (_, i) => question(i));
  await writeRecordedQuestions(folder, questions);
  const answers = questions.map(({ index, key }) => ({
    index,
    key,
    raw: isRight(index) ? 'A' : 'B',
    question: {
      id: `id-${index}`,
      category: index < SETS ? 'rotation' : 'around',
      options: [
        { letter: 'A', text: 'left' },
        { letter: 'B', text: 'right' },
      ],
      right: { kind: 'letter', value: 'A' },
    },
    extracted: isRight(index) ? 'A' : 'B',
    score: isRight(index) ? 1 : 0,
  }));
  writeFileSync(
    join(folder, 'predictions.jsonl'),
    answers.map((answer) => `${JSON.stringify(answer)}\n`).join(''),
  );
  if (!lifts) return folder;
  const jpeg = await sharp({ create: { width: 60, height: 40, channels: 3, background: '#8ac' } })
    .jpeg()
    .toBuffer();
  for (let set = 0; set < SETS; set++) {
    const labels = labelsOf();
    await writeLift(liftFile(folder, `v${set}`), {
      photos: [0, 1].map((view) => ({ name: `${view}.png`, width: 60, height: 40, jpeg })),
      predictions: {
        conventions: HEAD_CONVENTIONS,
        ...size,
        depth: labels.depth.map((value) => value + error(set)),
        rays: Float32Array.from({ length: 6 * pixels }, (_, i) => {
          const [pixel, channel] = [Math.floor(i / 6) % 24, i % 6];
          const direction = [((pixel % 6) - 2.5) / 5, (Math.floor(pixel / 6) - 1.5) / 5, 1];
          return channel < 3 ? 0 : direction[channel - 3]!;
        }),
      },
      labels,
      labelSource,
    });
  }
  return folder;
}

const random = createRandom(1);
const draws = Array.from({ length: QUESTIONS }, () => random.uniform());
/** Errors from 0.01 to 0.24 times the model's; the smaller, the more often the answer is right. */
const model = (factor: number): Made => ({
  error: (set) => (factor * (set + 1)) / 100,
  isRight: (i) => draws[i]! > ((i % SETS) / SETS) * factor,
});

const runs: string[] = [];
beforeAll(async () => {
  for (const factor of [1.4, 1, 0.7, 0.4])
    runs.push(await makeRun(`model-${factor}`, model(factor)));
});

const explain = (folders: readonly string[], name: string, ...rest: string[]) =>
  runForTest(['explain', ...folders, '--out', join(root, name), '--json', ...rest]);

describe('explain', () => {
  it('finds that better lifts go with right answers, over models and over questions', async () => {
    const { exitCode, out, err } = await explain(runs, 'out', '--cases', '2');
    expect([exitCode, err]).toEqual([0, '']);
    const results = JSON.parse(out);
    expect(results.models.map(({ quality }: { quality: number }) => quality)).toEqual(
      [1.4, 1, 0.7, 0.4].map((factor) => expect.closeTo((factor * 12.5) / 100, 5)),
    );
    const { pearson, spearman, models } = results.overModels;
    expect(models).toBe(4);
    expect(pearson.coefficient).toBeLessThan(-0.9);
    expect(spearman.coefficient).toBeCloseTo(-1, 12);
    expect(pearson.fisher[0]).toBeLessThan(pearson.coefficient);
    const [worst] = results.byModel;
    expect(worst.bins.map(({ questions }: { questions: number }) => questions)).toEqual([
      12, 12, 12, 12,
    ]);
    expect(worst.bins[0].quality[0]).toBeGreaterThan(worst.bins[3].quality[1]);
    expect(worst.bins[3].accuracy).toBeGreaterThan(worst.bins[0].accuracy);
    expect(worst.trend.z).toBeGreaterThan(2);
    expect(worst.trend.pValue).toBeLessThan(0.05);
    expect(Object.keys(worst.categories)).toEqual(['rotation', 'around']);
    expect(worst.withinModel.coefficient).toBeLessThan(0);
    expect(JSON.parse(readFileSync(join(root, 'out/results.json'), 'utf8'))).toEqual(results);
  });

  it('writes figures with their data, and a summary in which texts stay texts', () => {
    const files = readdirSync(join(root, 'out/figures'));
    for (const name of ['models', 'bins', 'bins-by-category'])
      expect(files).toEqual(expect.arrayContaining([`${name}.svg`, `${name}.png`, `${name}.csv`]));
    const csv = readFileSync(join(root, 'out/figures/bins.csv'), 'utf8').trim().split('\n');
    expect(csv).toHaveLength(1 + 4 * 4);
    const summary = readFileSync(join(root, 'out/summary.md'), 'utf8');
    expect(summary).toContain('Spearman −1.00');
    expect(summary).toContain('\\<b\\>tags');
    expect(summary).not.toContain('<b>');
    const svg = readFileSync(join(root, 'out/figures/case-worst-1.svg'), 'utf8');
    expect(svg).toContain('&lt;b&gt;tags&lt;/b&gt;');
  });

  it('chooses cases by its rule, and shows what their models see', () => {
    const { cases } = JSON.parse(readFileSync(join(root, 'out/results.json'), 'utf8'));
    type Case = Readonly<Record<'kind' | 'model' | 'views', string>> & {
      readonly quality: number;
      readonly models: readonly { readonly right: boolean; readonly lift: string }[];
    };
    const of = (kind: string, name: string): Case[] =>
      cases.filter((one: Case) => one.kind === kind && one.model === name);
    const best = of('best', 'model-0.4');
    expect(best).toHaveLength(2);
    expect(best.map(({ quality }) => quality)).toEqual(
      best.map(({ quality }) => quality).toSorted((a, b) => a - b),
    );
    const worst = of('worst', 'model-1.4');
    expect(worst[0]!.quality).toBeGreaterThan(worst[1]!.quality);
    expect(new Set(worst.map(({ views }) => views)).size).toBe(2);
    const contrasts: Case[] = cases.filter(({ kind }: Case) => kind === 'contrast');
    expect(contrasts).toHaveLength(2);
    for (const { models } of contrasts)
      expect(models.map(({ right }) => right)).toEqual([true, false]);
    for (const { models } of cases as Case[])
      for (const { lift } of models)
        expect(existsSync(join(root, 'out', lift, 'index.html'))).toBe(true);
    for (const { report } of cases) {
      const [page, id] = report.split('#');
      expect(readFileSync(join(root, 'out', page), 'utf8')).toContain(decodeURIComponent(id));
    }
  });

  it('measures a lift once, and again where it has changed', async () => {
    const log = join(root, 'out/quality/1-model-1.4.jsonl');
    const lines = () => readFileSync(log, 'utf8').trim().split('\n').length;
    expect(lines()).toBe(SETS);
    appendFileSync(log, '{"views": "half a li');
    await writeLift(liftFile(runs[0]!, 'v0'), {
      photos: [],
      predictions: { conventions: HEAD_CONVENTIONS, ...size, depth: labelsOf().depth },
      labels: labelsOf(),
      labelSource: 'exact',
    });
    const { out } = await explain(runs, 'out', '--cases', '0');
    expect(lines()).toBe(SETS + 1);
    expect(JSON.parse(out).models[0].quality).toBeCloseTo((1.4 * 12.5) / 100 - 0.014 / SETS, 5);
    expect(existsSync(join(root, 'out/cases'))).toBe(false);
    expect(existsSync(join(root, 'out/reports'))).toBe(false);
  });

  it('takes other measures, other bins, and one run alone', async () => {
    const { exitCode, out } = await explain(
      [runs[1]!],
      'one',
      '--quality',
      'depth-delta1',
      '--bins',
      '3',
    );
    expect(exitCode).toBe(0);
    const { byModel, overModels, measure } = JSON.parse(out);
    expect(measure).toMatchObject({ better: 'higher', unit: '' });
    expect(byModel[0].bins).toHaveLength(3);
    expect(overModels.pearson).toMatchObject({ fisher: null, bootstrap: null });
  });

  it('keeps a model without lifts beside the others, and says that it is left out', async () => {
    const plain = await makeRun('plain', { ...model(1), lifts: false });
    const { exitCode, out, err } = await explain([...runs, plain], 'mixed', '--cases', '0');
    expect(exitCode).toBe(0);
    expect(JSON.parse(out).models[4]).toMatchObject({ name: 'plain', quality: null });
    expect(JSON.parse(out).overModels.models).toBe(4);
    expect(err).toContain('plain: no quality');
  });
});

describe('what explain refuses', () => {
  const fails = async (folders: readonly string[], name: string, ...rest: string[]) => {
    const { exitCode, err } = await explain(folders, name, ...rest);
    return `${exitCode} ${err}`;
  };

  it('a folder that is no run, a run twice, and a run as its output', async () => {
    expect(await fails([root], 'x')).toMatch(/^1 error\[FILE_MISSING\].*evaluation\.json/);
    expect(await fails([runs[0]!, runs[0]!], 'x')).toMatch(/^2 error\[USAGE\].*named twice/);
    expect(await fails([runs[0]!], 'model-1')).toMatch(/^2 error\[USAGE\].*run folder/);
  });

  it('runs without any lift, with how to get them', async () => {
    const plain = await makeRun('bare', { ...model(1), lifts: false });
    expect(await fails([plain], 'x')).toMatch(/no lifts\nhint: .*--lift --labels STORE/);
  });

  it('labels of different sources, other questions, a damaged lift, a run that does not say what was asked', async () => {
    const other = await makeRun('other', { ...model(1), labelSource: 'guess' });
    expect(await fails([runs[1]!, other], 'x')).toMatch(
      /labels of one source, found exact in model-1, guess in other/,
    );
    writeFileSync(liftFile(other, 'v3'), 'no lift');
    expect(await fails([other], 'y')).toMatch(/^1 error\[FILE_INVALID\].*v3/);
    for (const name of ['predictions.jsonl', 'questions.jsonl']) {
      const file = join(other, name);
      writeFileSync(file, readFileSync(file, 'utf8').replaceAll('"key":"q1"', '"key":"else"'));
    }
    expect(await fails([runs[1]!, other], 'x')).toMatch(/^2 error\[USAGE\].*47 are the same/);
    rmSync(join(other, 'questions.jsonl'));
    expect(await fails([other], 'x')).toMatch(/questions\.jsonl: expected a line for each of 48/);
  });
});
