import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Finding, findingMessage } from '@spatialsv/core/host';
import type { CheckReport } from '../check/report.js';
import { runForTest } from '../testing/test-run.js';
import { type TroubledFolder, writeTroubledFolder } from './__fixtures__/troubled-folder.js';

const root = mkdtempSync(join(tmpdir(), 'spatialsv-check-'));
const model = join(root, 'model');
let folder: TroubledFolder;

beforeAll(async () => {
  const size = ['--hidden-size', '32', '--layers', '4', '--attention-heads', '2'];
  await runForTest(['tiny', '--family', 'qwen2.5-vl', '--out', model, ...size]);
  folder = await writeTroubledFolder(root, model);
});
afterAll(() => rmSync(root, { recursive: true }));

async function check(...args: string[]): Promise<{ exitCode: number; report: CheckReport }> {
  const { exitCode, out } = await runForTest(['check', '--json', ...args]);
  return { exitCode, report: JSON.parse(out)[0] };
}

/** Findings as texts, one line each. */
const texts = ({ findings }: CheckReport): readonly string[] =>
  findings.map((finding: Finding) => `${finding.severity}: ${findingMessage(finding)}`);

/** That each pattern fits one text, in this order, and nothing is left. */
function expectEach(found: readonly string[], patterns: readonly RegExp[]): void {
  expect(found).toEqual(patterns.map((pattern) => expect.stringMatching(pattern)));
}

describe('check', () => {
  it('tells what a model folder is', async () => {
    const { exitCode, report } = await check(model);
    expect([exitCode, report.kind, report.findings]).toEqual([0, 'model', []]);
    expect(report.summary).toContain('qwen2.5-vl');
  });

  it('finds every problem of a folder of images', async () => {
    const { exitCode, report } = await check(folder.photos);
    expect([exitCode, report.kind]).toEqual([1, 'images']);
    expect(report.facts).toMatchObject({
      images: 6,
      formats: { PNG: 5, GIF: 1 },
      '16 bits a value': 1,
    });
    expect(report.passedOver.map(({ where }) => where)).toEqual([
      ...['IMG_7.mov', 'notes.txt', 'older'],
    ]);
    expectEach(texts(report), [
      /^error: .*huge\.tif: .*1610612736 bytes/,
      /^error: .*IMG_3\.HEIC: .*an HEIC image/,
      /^error: .*IMG_4\.bmp: .*a BMP image/,
      /^error: .*IMG_5\.jpg: .*a web page/,
      /^error: .*IMG_6\.jpg: .*a Git LFS pointer/,
      /^error: .*lost\.jpg: .*nothing/,
      /^error: .*depth\.png: .*16-bit grey with values up to 4001/,
      /^warning: .*strip\.png: extreme shape: .*1×400 pixels/,
    ]);
  });

  it('decodes images, and asks the model for their shapes, where it is told to', async () => {
    const { report } = await check(folder.photos, '--pixels', '--model', model);
    const found = texts(report);
    expect(found).toContainEqual(
      expect.stringMatching(/^error: .*cut\.png: .*a PNG image that is damaged or incomplete/),
    );
    expect(found).toContainEqual(expect.stringMatching(/^error: .*strip\.png of 1×400 pixels/));
  });

  it('finds every problem of a data file, and reads the rest', async () => {
    const { exitCode, report } = await check(folder.rows, '--model', model);
    expect([exitCode, report.kind]).toEqual([1, 'data']);
    expect(report.summary).toContain('jsonl');
    expect(report.facts).toMatchObject({ samples: 4, 'with an answer': 4, images: 2 });
    expectEach(texts(report), [
      /sample 'placeholder': question: expected plain text, found the placeholder <image>/,
      /rows\.jsonl:4: expected images below .*, found .*etc\/passwd/,
      /sample 'missing': image .*gone\.png does not exist/,
      /rows\.jsonl:8: not valid JSON at column 29/,
      /rows\.jsonl:9: field 'question'/,
      /rows\.jsonl:10: expected at most 64 levels/,
      /sample 'strip': .*strip\.png of 1×400 pixels/,
      /sample 'phone': .*IMG_3\.HEIC: .*an HEIC image/,
      /^warning: .*rows\.jsonl: repeated ids: .*'same' 2 times/,
    ]);
    expect(JSON.stringify(report)).not.toContain('secret');
  });

  it('finds every problem of rows of other toolkits', async () => {
    const { report } = await check(folder.chats);
    expect(report.summary).toContain('conversations');
    expect(report.facts).toMatchObject({ samples: 1 });
    expectEach(texts(report), [
      /chats\.json:\d+: expected one question and its answer, found a conversation of 2/,
      /chats\.json:\d+: question: .*the placeholder <video>/,
    ]);
    const bench = (await check(folder.mmbench)).report;
    expect(bench.facts).toMatchObject({ samples: 1, 'multiple choice': 1 });
    expectEach(texts(bench), [/mmbench\.jsonl:2: field 'options\.B'/]);
  });

  it('reads the files of a benchmark as an evaluation does', async () => {
    const rows = join(root, 'asked.jsonl');
    const row = {
      images: ['my photos, 2/IMG_1.PNG'],
      question: 'Left?',
      options: { A: 'a', B: 'b' },
    };
    const lines = [
      { id: 'good', ...row, answer: 'A' },
      { id: 'lost', ...row, images: ['gone.png'], answer: 'A' },
      { id: 'wrong', ...row, answer: 'Z' },
    ];
    writeFileSync(rows, lines.map((line) => JSON.stringify(line)).join('\n'));
    const { exitCode, report } = await check(rows, '--benchmark', 'jsonl');
    expect([exitCode, report.kind]).toEqual([1, 'data']);
    expect(report.facts).toMatchObject({ questions: 1, images: 1 });
    expect(texts(report)).toHaveLength(2);
    const unknown = await runForTest(['check', rows, '--benchmark', 'jsonnl']);
    expect([unknown.exitCode, unknown.err]).toEqual([
      1,
      expect.stringMatching(/Did you mean "jsonl"/),
    ]);
  });

  it('looks at everything that a configuration names', async () => {
    const { exitCode, report } = await check(folder.config);
    expect([exitCode, report.kind]).toEqual([1, 'configuration']);
    expectEach(texts(report), [/sintetic/]);
    const [first, rows, chats, lost] = report.parts!;
    expect(first).toMatchObject({ kind: 'model', findings: [] });
    expect(texts(rows!)).toHaveLength(9);
    expect(texts(chats!)).toHaveLength(2);
    expectEach(texts(lost!), [/lost\.jsonl: expected a file, found nothing/]);
    const wrong = join(root, 'wrong.yml');
    writeFileSync(wrong, 'modl: x\nout: y\ndata: [{ path: a, limt: 3 }]\n');
    expectEach(texts((await check(wrong)).report), [/'model'/, /:3: .*limit/, /:1: .*modl/]);
  });

  it('takes several paths, and prints findings with hints and counts', async () => {
    const { exitCode, out, err } = await runForTest(['check', folder.mmbench, folder.photos]);
    expect(exitCode).toBe(1);
    expect(out).toMatch(/mmbench\.jsonl: data set of format mmbench\n {2}samples +1\n/);
    expect(out).toMatch(/ {2}error\[DATA_INVALID\]: .*options\.B.*\n {4}hint: \S/);
    expect(out).toMatch(/ {2}passed over notes\.txt: a text file\n/);
    expect(err).toMatch(/8 errors and 1 warning found/);
  });

  it('is an error for a path where nothing is', async () => {
    const { exitCode, report } = await check(join(root, 'nowhere.jsonl'));
    expect(exitCode).toBe(1);
    expectEach(texts(report), [/nowhere\.jsonl: expected a file or folder, found nothing/]);
    expect(report.kind).toBe('nothing');
  });
});
