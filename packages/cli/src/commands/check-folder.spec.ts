import { mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { findingMessage } from '@spatialsv/core/host';
import type { CheckReport } from '../check/report.js';
import { runForTest } from '../testing/test-run.js';
import { writeTroubledFolder } from './__fixtures__/troubled-folder.js';
import { writeTroubledModels } from './__fixtures__/troubled-models.js';
import { writeTroubledProject } from './__fixtures__/troubled-project.js';

const root = mkdtempSync(join(tmpdir(), 'spatialsv-check-folder-'));
const model = join(root, 'model');
let exitCode: number;
let report: CheckReport;

beforeAll(async () => {
  const size = ['--hidden-size', '32', '--layers', '4', '--attention-heads', '2'];
  await runForTest(['tiny', '--family', 'qwen2.5-vl', '--out', model, ...size]);
  const { photos } = await writeTroubledFolder(root, model);
  await writeTroubledProject(root, model);
  await writeTroubledModels(root, model);
  expect(photos).toContain(root);
  const found = await runForTest(['check', root, '--weights', '--model', model, '--json']);
  exitCode = found.exitCode;
  report = JSON.parse(found.out)[0];
});
afterAll(() => rmSync(root, { recursive: true }));

/** What is said of a part, its own parts included. */
function textsOf(name: string): readonly string[] {
  const part = report.parts!.find(({ path }) => relative(root, path) === name);
  const all = (each: CheckReport): readonly string[] => [
    ...each.findings.map((finding) => `${finding.severity}: ${findingMessage(finding)}`),
    ...(each.parts ?? []).flatMap(all),
  ];
  return all(part!);
}

describe('check of a folder of everything', () => {
  it('looks at each part as what it is', () => {
    expect([exitCode, report.kind]).toEqual([1, 'folder']);
    const kinds = report.parts!.map(({ kind, path }) => [kind, relative(root, path)]);
    expect(kinds).toEqual(
      expect.arrayContaining([
        ['model', 'model'],
        ['model', 'gguf'],
        ['images', 'my photos, 2'],
        ['data', 'rows.jsonl'],
        ['data', 'chats.json'],
        ['configuration', 'run.yaml'],
        ['plugins', join('project', 'package.json')],
        ['evaluation', 'evaluation'],
      ]),
    );
    expect(report.facts).toMatchObject({ model: 12, images: 1, evaluation: 2, plugins: 1 });
  });

  it.each([
    ['repeated ids', 'rows.jsonl', /^warning: .*repeated ids: .*'same' 2 times/],
    ['a stale index of shards', 'stale', /^warning: .*passed over model-00001.*index\.json/],
    ['a weight that is no number', 'not-finite', /^error: .*model\.norm\.weight: .*NaN at index 3/],
    ['an image of a format that is not read', 'my photos, 2', /^error: .*IMG_3\.HEIC/],
    ['a map of distances given as an image', 'my photos, 2', /^error: .*depth\.png: .*16-bit grey/],
    ['a placeholder in a question', 'rows.jsonl', /^error: .*the placeholder <image>/],
    ['numbers that do not follow', 'touched', /^error: .*does not follow from the outputs/],
    ['a tensor of a value head', 'many', /^warning: .*v_head\.summary\.weight/],
    ['a row that is no sample', 'chats.json', /^error: chats\.json:\d+|^error: .*chats\.json:\d+/],
    ['an option that is no text', 'mmbench.jsonl', /^error: .*field 'options\.B'/],
    ['a shape that the model refuses', 'rows.jsonl', /^error: .*strip\.png of 1×400 pixels/],
    ['a quantised model', 'quantised', /^error: .*quantised by bitsandbytes/],
    ['an adapter', 'adapter', /^error: .*LoRA adapter/],
    [
      'a plugin that ends the process',
      join('project', 'package.json'),
      /^error: .*ends its process/,
    ],
    ['a plugin that fails later', join('project', 'package.json'), /^error: .*later/],
    ['a chat template without an end', 'endless', /^error: .*chat_template\.jinja/],
    ['aliases that explode', 'aliases.yaml', /^error: .*alias/],
    ['a key __proto__', 'keys.yml', /^error: .*__proto__/],
    ['an image outside of the root', 'rows.jsonl', /^error: .*expected images below/],
    ['a pipe in the place of weights', 'pipes', /^error: .*model\.safetensors/],
    ['an image that is too large', 'my photos, 2', /^error: .*huge\.tif: .*1610612736 bytes/],
    ['a source that there is not', 'run.yaml', /^error: .*sintetic/],
  ])('finds %s', (_what, part, pattern) => {
    expect(textsOf(part)).toContainEqual(expect.stringMatching(pattern));
  });

  it('has nothing to say where nothing is wrong', () => {
    for (const part of ['model', 'newer', 'evaluation', 'asked.jsonl'])
      expect([part, textsOf(part)]).toEqual([part, []]);
  });

  it('reads what is written in another way than ours', () => {
    const factsOf = (name: string) =>
      report.parts!.find(({ path }) => relative(root, path) === name)!.facts;
    // UTF-8 with a byte order mark, U+2028 inside of rows, Windows line ends and separators; UTF-16, a list.
    expect(factsOf('rows.jsonl')).toMatchObject({ samples: 4 });
    expect(factsOf('chats.json')).toMatchObject({ samples: 1 });
    expect(factsOf('my photos, 2')).toMatchObject({ 'with transparency': 1 });
    expect(factsOf('run.yaml')).toMatchObject({ out: join(homedir(), 'no such run') });
  });

  it('says what is wrong with the model that it was told of', async () => {
    const args = ['check', root, '--model', join(root, 'gguf'), '--no-plan', '--json'];
    const [{ parts }] = JSON.parse((await runForTest(args)).out) as readonly [CheckReport];
    const rows = parts!.find(({ path }) => relative(root, path) === 'asked.jsonl')!;
    expect(rows.findings.map(findingMessage)).toEqual([expect.stringMatching(/gguf.*GGUF/)]);
  });

  it('quotes nothing of what it found', () => {
    expect(JSON.stringify(report)).not.toMatch(/secret|resource fork|root:x/);
  });

  it('tells answers of another model', async () => {
    const run = join(root, 'evaluation');
    const { out } = await runForTest(['check', run, '--model', join(root, 'not-finite'), '--json']);
    const [{ findings }] = JSON.parse(out) as readonly [CheckReport];
    expect(findings.map(findingMessage)).toEqual([
      expect.stringMatching(/answers of other weights than those of .*not-finite/),
    ]);
  });
});
