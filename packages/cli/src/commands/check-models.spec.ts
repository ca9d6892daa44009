import { cpSync, mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findingMessage } from '@spatialsv/core/host';
import type { CheckReport } from '../check/report.js';
import { runForTest } from '../testing/test-run.js';
import { type TroubledModels, writeTroubledModels } from './__fixtures__/troubled-models.js';

const root = mkdtempSync(join(tmpdir(), 'spatialsv-check-models-'));
const model = join(root, 'model');
let models: TroubledModels;

beforeAll(async () => {
  const size = ['--hidden-size', '32', '--layers', '2', '--attention-heads', '2'];
  await runForTest(['tiny', '--family', 'qwen2.5-vl', '--out', model, '--heads', ...size]);
  models = await writeTroubledModels(root, model);
});
afterAll(() => rmSync(root, { recursive: true }));

async function check(...args: string[]) {
  const { exitCode, out } = await runForTest(['check', '--json', ...args]);
  const report = JSON.parse(out)[0] as CheckReport;
  const texts = report.findings.map((each) => `${each.severity}: ${findingMessage(each)}`);
  return { exitCode, report, texts, passed: report.passedOver.map(({ where }) => where) };
}

const each = (...patterns: readonly RegExp[]) =>
  patterns.map((pattern) => expect.stringMatching(pattern));

describe('check of a model', () => {
  it('says what it is, and what opening it takes', async () => {
    const { exitCode, report, texts } = await check(model, '--weights');
    expect([exitCode, texts, report.passedOver]).toEqual([0, [], []]);
    expect(report.summary).toBe('model folder of qwen2.5-vl');
    expect(report.facts).toMatchObject({
      'published model of this size': 'none',
      types: { F32: expect.any(Number) },
      files: 1,
      parameters: expect.any(Number),
      tokenizer: 'tokenizer.json',
      'chat template': 'chat_template.jinja',
      '3D heads': true,
      'values of the weights': 'read',
    });
  });

  it('takes what transformers 5 saves', async () => {
    const { exitCode, texts } = await check(models.newer);
    expect([exitCode, texts]).toEqual([0, []]);
  });

  it('does not call weights passed over that it could not open', async () => {
    const damaged = join(root, 'damaged');
    cpSync(model, damaged, { recursive: true });
    truncateSync(join(damaged, 'model.safetensors'), 1000);
    const { exitCode, texts, passed } = await check(damaged);
    expect([exitCode, passed]).toEqual([1, []]);
    expect(texts).toEqual(each(/^error: .*model\.safetensors: /));
  });

  it('says which weights are passed over', async () => {
    const { exitCode, texts, passed } = await check(models.stale);
    expect(exitCode).toBe(0);
    expect(texts).toEqual(each(/^warning: .*passed over model-00001.*index\.json/));
    expect(passed).toEqual([
      'model-00001-of-00001.safetensors',
      'model.safetensors.index.json',
      'modeling.py',
      'pytorch_model.bin',
    ]);
  });

  it('lists every difference between weights and config.json', async () => {
    const { exitCode, texts } = await check(models.many);
    expect(exitCode).toBe(1);
    expect(texts).toEqual(
      each(
        /^error: .*visual\.merger\.ln_q\.weight: expected \(96\) by config\.json, found \(3\)/,
        /^error: .*model\.layers\.0\.input_layernorm\.weight: expected F32.*found I32/,
        /^error: .*expected the tensor model\.norm\.weight, found none/,
        /^error: .*model\.layers\.9\.mlp\.up_proj\.weight, which config\.json has no place for/,
        /^warning: .*v_head\.summary\.weight.*passed over/,
      ),
    );
  });

  it('reads the weights where it is told to', async () => {
    expect((await check(models.notFinite)).texts).toEqual([]);
    const { exitCode, texts } = await check(models.notFinite, '--weights');
    expect(exitCode).toBe(1);
    expect(texts).toEqual(each(/^error: .*model\.norm\.weight: .*NaN at index 3 \(1 of 32/));
  });

  it.each([
    ['quantised', [/^error: .*quantised by bitsandbytes/]],
    ['adapter', [/^error: .*LoRA adapter/]],
    ['gguf', [/^error: .*GGUF/]],
    ['pickled', [/^error: .*pickled/]],
    ['lfs', [/^error: .*pointer of Git LFS/]],
    [
      'endless',
      [
        /^error: .*generation_config\.json: .*cut off/,
        /^error: .*preprocessor_config\.json: .*100 deep/,
        /^error: .*chat_template\.jinja: .*200000 steps/,
      ],
    ],
    ['pipes', [/^error: .*model\.safetensors/, /^error: .*(tokenizer\.json|chat_template)/]],
  ] as const)('names what is wrong with %s', async (name, patterns) => {
    const { exitCode, report, texts } = await check(models[name]);
    expect([exitCode, report.kind]).toEqual([1, 'model']);
    for (const pattern of patterns) expect(texts).toContainEqual(expect.stringMatching(pattern));
    expect(texts).toHaveLength(patterns.length);
  });
});
