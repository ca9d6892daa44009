import {
  cpSync,
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
import {
  createRandom,
  openSafetensors,
  replaceWeights,
  writePng,
  writeSafetensors,
} from '@spatialsv/core';
import { writeDataset } from '@spatialsv/vfm-synthetic';
import { runForTest } from '../testing/test-run.js';
import type { DoctorReport } from './doctor.js';

const root = mkdtempSync(join(tmpdir(), 'spatialsv-cli-'));
const model = join(root, 'model');
const images = [join(root, 'a.png'), join(root, 'b.png')];

beforeAll(async () => {
  for (const [i, file] of images.entries()) {
    const random = createRandom(i);
    const data = Uint8Array.from({ length: 90 * 120 * 3 }, () => random.uniform(0, 256));
    await writePng(file, data, { width: 120, height: 90, channels: 3 });
  }
  const size = ['--hidden-size', '64', '--layers', '4', '--attention-heads', '4'];
  const made = await runForTest([
    'tiny',
    '--family',
    'qwen2.5-vl',
    '--out',
    model,
    '--heads',
    ...size,
  ]);
  expect(made).toMatchObject({ exitCode: 0, err: '' });
});

afterAll(() => rmSync(root, { recursive: true }));

const onModel = (command: string, ...rest: string[]) => [
  ...[command, '--model', model, '--images', ...images],
  ...rest,
];

describe('doctor and plugins', () => {
  it('report as JSON', async () => {
    const plugins = JSON.parse((await runForTest(['plugins', '--json'])).out);
    expect(plugins.contributions).toContainEqual({
      kind: 'backbone-adapter',
      id: 'qwen2.5-vl',
      plugin: '@spatialsv/adapter-qwen25vl',
    });
    expect(plugins.contributions).toContainEqual({
      kind: 'geometry-head',
      id: 'dpt',
      plugin: '@spatialsv/core',
    });
    const { exitCode, out } = await runForTest(['doctor', '--json']);
    const report = JSON.parse(out);
    expect(exitCode).toBe(0);
    expect(report.devices.cpu).toEqual({ device: 'cpu', works: true });
    expect(report.devices.cuda.cuda).toMatchObject({ version: report.onnxRuntime.version });
    expect(report.onnxRuntime.providers).toContain('CPUExecutionProvider');
    expect(report.node.supported).toBe(true);
    expect(report.kernels).toMatchObject({ override: 'blocked', source: 'override' });
    const equal = report.kernels.tried.filter((tried: { equal: boolean }) => tried.equal);
    expect(equal.map(({ block }: { block: number }) => block)).toEqual(
      report.kernels.block === null ? [] : [report.kernels.block],
    );
    for (const device of Object.values(report.devices as DoctorReport['devices'])) {
      if (!device.works) expect(device).toMatchObject({ reason: /./, hint: /./ });
    }
  });

  it('say why a plugin of the user was rejected', async () => {
    const folder = join(root, 'project');
    const plugin = join(folder, 'node_modules', 'broken-plugin');
    mkdirSync(plugin, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{"dependencies":{"broken-plugin":"1.0.0"}}');
    const manifest = { apiVersion: 99, kinds: ['benchmark'], entry: './index.js' };
    const packageJson = { name: 'broken-plugin', version: '1.0.0', spatialsv: manifest };
    writeFileSync(join(plugin, 'package.json'), JSON.stringify(packageJson));
    const { out } = await runForTest(['plugins'], { folder });
    expect(out).toMatch(/rejected broken-plugin: error\[PLUGIN_API_MISMATCH\]/);
    expect(out).toMatch(/backbone-adapter +qwen2\.5-vl/);
  });
});

describe('taps', () => {
  it('writes ids, logits, hidden states and the place of each view', async () => {
    const file = join(root, 'taps.safetensors');
    const rest = ['--question', 'Where?', '--layers', '0,4', '--out', file, '--json'];
    const { exitCode, out } = await runForTest(onModel('taps', ...rest));
    expect(exitCode).toBe(0);
    const { tensors } = JSON.parse(out);
    const reader = await openSafetensors(file);
    const [tokens] = tensors.input_ids;
    expect(Object.keys(tensors)).toEqual([
      'input_ids',
      'logits',
      'hidden.0',
      'hidden.4',
      'grid',
      'span',
    ]);
    expect(tensors['hidden.4']).toEqual([tokens, 64]);
    const [ids, grid, span] = [
      await reader.readInt32('input_ids'),
      await reader.readInt32('grid'),
      await reader.readInt32('span'),
    ];
    for (const view of [0, 1]) {
      const cells = ids.slice(span[2 * view], span[2 * view + 1]);
      expect(cells.length).toBe(grid[2 * view]! * grid[2 * view + 1]!);
      expect(new Set(cells).size).toBe(1);
    }
    const logits = await reader.readFloat32('logits');
    expect(logits.every(Number.isFinite)).toBe(true);
  });

  it('writes states at other sites', async () => {
    const file = join(root, 'sites.safetensors');
    const sites = ['--sites', 'final,vision:1,projector', '--layers', '1'];
    const rest = ['--question', 'Where?', ...sites, '--out', file, '--json'];
    const { exitCode, out } = await runForTest(onModel('taps', ...rest));
    expect(exitCode).toBe(0);
    const { tensors } = JSON.parse(out);
    const reader = await openSafetensors(file);
    const grid = await reader.readInt32('grid');
    const others = Object.keys(tensors).filter((name) => /^(hidden|vision|projector)/.test(name));
    const views = ['vision.1.0', 'vision.1.1', 'projector.0', 'projector.1'];
    expect(others).toEqual(['hidden.1', 'hidden.4', ...views]);
    for (const view of [0, 1]) {
      const cells = grid[2 * view]! * grid[2 * view + 1]!;
      expect(tensors[`projector.${view}`]).toEqual([cells, 64]);
      expect(tensors[`vision.1.${view}`]![0]).toBe(4 * cells);
    }
  });

  it('names the sites that there are', async () => {
    const sites = ['--sites', 'vision:99', '--out', join(root, 'x.safetensors')];
    const { exitCode, err } = await runForTest(onModel('taps', '--question', 'Where?', ...sites));
    expect(exitCode).toBe(1);
    expect(err).toMatch(/^error\[TAP_UNKNOWN\].*vision:99/);
  });

  it('names the layers that there are', async () => {
    const rest = ['--question', 'Where?', '--layers', '9', '--out', join(root, 'x.safetensors')];
    const { exitCode, err } = await runForTest(onModel('taps', ...rest));
    expect(exitCode).toBe(1);
    expect(err).toMatch(/^error\[TAP_UNKNOWN\].*9/);
    expect(existsSync(join(root, 'x.safetensors'))).toBe(false);
  });
});

describe('ask', () => {
  it('prints an answer, as text or as JSON', async () => {
    const rest = ['--question', 'Where?', '--max-new-tokens', '5'];
    const text = await runForTest(onModel('ask', ...rest));
    expect(text.exitCode).toBe(0);
    const json = JSON.parse((await runForTest(onModel('ask', ...rest, '--json'))).out);
    expect(json.newTokens).toBeLessThanOrEqual(5);
    expect(text.out.length).toBeGreaterThan(0);
  });

  it('draws an answer where it is asked to, the same for the same seed', async () => {
    const draw = async (seed: string) => {
      const rest = ['--question', 'Where?', '--max-new-tokens', '8', '--sample', '--seed', seed];
      const { err, out } = await runForTest(onModel('ask', ...rest, '--json'));
      expect(err).toContain(`generation: drawn with seed ${seed} (temperature 1, top-k 50)`);
      const { answer, generation } = JSON.parse(out);
      expect(generation).toMatchObject({ sampling: { topK: 50, seed: Number(seed) } });
      return answer;
    };
    const answers = [await draw('1'), await draw('2'), await draw('1')];
    expect(answers[2]).toBe(answers[0]);
    expect(answers[1]).not.toBe(answers[0]);
    const refused = await runForTest(onModel('ask', '--question', 'Where?', '--top-k', '3'));
    expect(refused.err).toMatch(/^error\[USAGE\]: --top-k 3/);
  });

  it('refuses settings that the family does not have', async () => {
    const rest = ['--question', 'Where?', '--set', 'maxTiles=2'];
    const { err } = await runForTest(onModel('ask', ...rest));
    expect(err).toMatch(/error\[CONFIG_INVALID\]: settings of the backbone qwen2\.5-vl/);
  });

  it('ends with 130 when it is interrupted', async () => {
    const signal = AbortSignal.abort();
    const { exitCode } = await runForTest(onModel('ask', '--question', 'Where?'), { signal });
    expect(exitCode).toBe(130);
  });
});

describe('lift', () => {
  it('writes the folder and its page', async () => {
    const folder = join(root, 'lifted');
    const { exitCode, out } = await runForTest(onModel('lift', '--out', folder, '--json'));
    expect(exitCode).toBe(0);
    const { files } = JSON.parse(out);
    for (const name of [
      'index.html',
      'points.ply',
      'scene.glb',
      'cameras.json',
      'depth/view-2.png',
    ]) {
      expect(files).toContain(name);
      expect(existsSync(join(folder, name))).toBe(true);
    }
    expect(readFileSync(join(folder, 'index.html'), 'utf8').includes('b.png')).toBe(true);
  });

  it('shows labels beside the predictions', async () => {
    const rooms = join(root, 'rooms');
    await writeDataset({
      folder: rooms,
      scenes: 1,
      seed: 1,
      split: 'test',
      width: 112,
      height: 84,
    });
    const folder = join(rooms, 'other_all_image');
    const views = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.png'),
    );
    const images = views.slice(0, 2).map((name) => join(folder, name));
    const args = ['lift', '--model', model, '--images', ...images, '--out', join(root, 'both')];
    const { exitCode, out, err } = await runForTest([...args, '--source', 'synthetic', '--json']);
    expect(exitCode).toBe(0);
    // Random rays may determine no camera.
    expect(err).toMatch(/^(colmap.*\n)*$/);
    const { metrics, files } = JSON.parse(out);
    expect(metrics.depthRmse).toBeGreaterThan(0);
    expect(files).toContain('depth/view-1-label-prediction.png');
  });

  it('says how to get heads', async () => {
    const plain = join(root, 'plain');
    cpSync(model, plain, { recursive: true });
    rmSync(join(plain, 'spatialsv'), { recursive: true });
    const args = ['lift', '--model', plain, '--images', images[0]!, '--out', join(root, 'none')];
    const { exitCode, err } = await runForTest(args);
    expect(exitCode).toBe(1);
    expect(err).toMatch(/^error\[WEIGHT_MISSING\]: .*spatialsv/);
    expect(err).toMatch(/hint: .*spatialsv train/);
  });
});

describe('what a new user gets wrong', () => {
  const ask = (folder: string, image: string) =>
    runForTest(['ask', '--model', folder, '--images', image, '--question', 'Where?']);

  it('a wrong model path', async () => {
    const { exitCode, err } = await ask(join(root, 'nowhere'), images[0]!);
    expect(exitCode).toBe(1);
    expect(err).toMatch(
      /^error\[FILE_MISSING\]: .*nowhere.*found nothing at this path\nhint: Name a folder/,
    );
  });

  it('an image that is not there', async () => {
    const { err } = await ask(model, join(root, 'gone.jpg'));
    expect(err).toMatch(/^error\[FILE_MISSING\]: .*gone\.jpg/);
  });

  it('a text file as image', async () => {
    const file = join(root, 'notes.jpg');
    writeFileSync(file, 'these are my notes');
    const { exitCode, err } = await ask(model, file);
    expect(exitCode).toBe(1);
    expect(err).toMatch(
      /^error\[IMAGE_INVALID\]: .*notes\.jpg: expected an image, found a text file\n/,
    );
    expect(err).toMatch(/\nhint: .*JPEG/);
  });

  it('an image of extreme shape', async () => {
    const file = join(root, 'strip.png');
    await writePng(file, new Uint8Array(4000 * 3), { width: 1, height: 4000, channels: 3 });
    const { exitCode, err } = await ask(model, file);
    expect(exitCode).toBe(1);
    expect(err).toMatch(/^error\[IMAGE_INVALID\]: .*strip\.png of 1×4000 pixels/);
  });

  it('a checkpoint of another family', async () => {
    const other = join(root, 'other');
    cpSync(model, other, { recursive: true });
    writeFileSync(join(other, 'config.json'), '{"model_type":"gpt2"}');
    const { exitCode, err } = await ask(other, images[0]!);
    expect(exitCode).toBe(1);
    expect(err).toMatch(/^error\[PLUGIN_UNKNOWN\]: .*other\/config\.json.*gpt2.*qwen2\.5-vl/);
  });

  it('a checkpoint that lacks a tensor', async () => {
    const broken = join(root, 'broken');
    cpSync(model, broken, { recursive: true });
    const reader = await openSafetensors(join(broken, 'model.safetensors'));
    const kept = new Map(replaceWeights(reader, new Map()));
    kept.delete('model.layers.1.mlp.up_proj.weight');
    await writeSafetensors(join(broken, 'partial.safetensors'), kept);
    cpSync(join(broken, 'partial.safetensors'), join(broken, 'model.safetensors'));
    const { exitCode, err } = await ask(broken, images[0]!);
    expect(exitCode).toBe(1);
    expect(err).toMatch(/^error\[WEIGHT_MISSING\]: .*layers\.1\.mlp\.up_proj\.weight/);
    expect(err).toMatch(/\nhint: \S/);
  });

  it('weights of a source that has none, and options of backbones for a source', async () => {
    const tiny = (...args: string[]) =>
      runForTest(['tiny', '--out', join(root, 'tiny-source'), '--family', ...args]);
    const none = await tiny('synthetic');
    expect(none.exitCode).toBe(2);
    expect(none.err).toMatch(/no weights/);
    const layers = await tiny('vggt', '--layers', '3');
    expect(layers.exitCode).toBe(2);
    expect(layers.err).toMatch(/--layers/);
  });

  it('a place where nothing can be written, before anything is computed', async () => {
    const file = join(root, 'taken');
    writeFileSync(file, '');
    const view = ['--model', '/nowhere', '--images', images[0]!];
    const lift = (out: string) => runForTest(['lift', ...view, '--out', out]);
    const taps = (out: string) => runForTest(['taps', ...view, '--question', '?', '--out', out]);
    for (const [ended, message] of [
      [
        await lift(file),
        /^error\[USAGE\]: --out .*taken: expected a folder to write, found a file\n/,
      ],
      [
        await lift(join(file, 'lifted')),
        /^error\[USAGE\]: .*taken is a file, not a folder\nhint: \S/,
      ],
      [await taps(root), /^error\[USAGE\]: .*: expected a file to write, found a folder\n/],
    ] as const) {
      expect(ended.exitCode).toBe(2);
      expect(ended.err).toMatch(message);
    }
  });

  it('a smallest size of a view above the largest', async () => {
    const view = ['--images', images[0]!, '--question', '?', '--min-pixels', '900'];
    const { exitCode, err } = await runForTest([
      'ask',
      '--model',
      model,
      ...view,
      '--max-pixels',
      '800',
    ]);
    expect(exitCode).toBe(1);
    expect(err).toMatch(
      /^error\[CONFIG_INVALID\]: .*at most the largest of 800 pixels, found 900\n/,
    );
  });

  it('a folder that is not empty', async () => {
    const { exitCode, err } = await runForTest(['tiny', '--family', 'qwen2.5-vl', '--out', model]);
    expect(exitCode).toBe(2);
    expect(err).toMatch(/--force/);
  });
});
