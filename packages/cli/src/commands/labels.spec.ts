import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  type GeometryLabelsV1,
  LabelStore,
  openSafetensors,
  type StoredLabels,
} from '@spatialsv/core';
import { expectAllclose } from '@spatialsv/core/testing';
import { createSyntheticSource, writeDataset } from '@spatialsv/vfm-synthetic';
import { type Outcome, runForTest } from '../testing/test-run.js';

// Processes are started, and may have to share the machine with other tests.
const root = mkdtempSync(join(tmpdir(), 'spatialsv-label-'));
const rooms = join(root, 'rooms');
const scene = join(rooms, 'other_all_image', 'rotation', 'train_000000');
const shared = join(root, 'shared');
/** Distinct lists of images among the rendered questions. */
let sets: number;

beforeAll(async () => {
  const { file } = await writeDataset({
    ...{ folder: rooms, scenes: 3, seed: 1, split: 'train', width: 56, height: 42 },
  });
  const rows = readFileSync(file, 'utf8').trim().split('\n');
  sets = new Set(rows.map((row) => JSON.stringify(JSON.parse(row).images))).size;
  expect(await label(shared)).toMatchObject({ exitCode: 0 });
});

afterAll(() => rmSync(root, { recursive: true }));

const dataOf = (folder: string) => [
  ...['--data', join(folder, 'raw', 'MindCube_train.jsonl'), '--format', 'mindcube'],
];
const labelArgs = (out: string, ...rest: string[]) => [
  ...['label', '--source', 'synthetic', '--out', out],
  ...(rest.includes('--images') ? [] : dataOf(rooms)),
  ...rest,
];
const label = (out: string, ...rest: string[]) => runForTest(labelArgs(out, ...rest));
const summaryOf = ({ out }: Outcome) => JSON.parse(out);
const keysOf = async (store: string): Promise<string[]> => {
  const { sets: found } = summaryOf(await runForTest(['labels', 'show', store, '--json']));
  return found.map(({ key }: { key: string }) => key);
};
const imagesOf = (stored: StoredLabels) => stored.images.map(({ path }) => path);

/** What the store keeps exactly, and what it may round to float16. */
function expectSameLabels(found: GeometryLabelsV1, expected: GeometryLabelsV1): void {
  expect(found.conventions).toEqual(expected.conventions);
  expect([found.views, found.height, found.width]).toEqual([
    expected.views,
    expected.height,
    expected.width,
  ]);
  expect(found.mask).toEqual(expected.mask);
  expect(found.intrinsics).toEqual(expected.intrinsics);
  expect(found.extrinsicsWorldToCamera).toEqual(expected.extrinsicsWorldToCamera);
  expectAllclose(found.depth, expected.depth, { rtol: 1e-3 });
  expectAllclose(found.features!.data, expected.features!.data, { rtol: 1e-3, atol: 1e-3 });
}

describe('label', () => {
  it('stores each distinct list of images once, with what the source says', async () => {
    const store = await LabelStore.open(shared, { readOnly: true });
    expect(store.count).toBe(sets);
    const labeller = createSyntheticSource();
    for (const key of store.keys()) {
      const stored = store.read(key)!;
      expectSameLabels(stored.labels, await labeller.doLabel({ images: imagesOf(stored) }));
      expect(stored.provenance).toEqual(labeller.provenance);
    }
    await store.close();
  });

  it('passes over what is there', async () => {
    const result = await label(shared, '--json');
    expect(result).toMatchObject({ exitCode: 0, err: '' });
    expect(summaryOf(result)).toMatchObject({
      ...{ store: shared, source: 'synthetic', sets, written: 0, present: sets },
      ...{ skipped: 0, rejected: 0, failures: [], complete: true, stored: sets },
    });
    const forced = summaryOf(await label(shared, '--force', '--limit', '2', '--json'));
    expect(forced).toMatchObject({ sets: 2, written: 2, present: 0, stored: sets });
    expect(forced.viewsPerSecond).toBeGreaterThan(0);
  });

  it.each([
    ['one set of a folder', [], [4]],
    ['every image alone', ['--views', '1'], [1, 1, 1, 1]],
    ['groups of neighbours', ['--views', '3'], [3, 1]],
  ])('makes %s', async (_, options, expected) => {
    const out = mkdtempSync(join(root, 'groups-'));
    expect(await label(out, '--images', scene, ...options)).toMatchObject({ exitCode: 0 });
    const store = await LabelStore.open(out, { readOnly: true });
    const stored = [...store.keys()].map((key) => store.read(key)!);
    expect(stored.map(({ labels }) => labels.views).sort((a, b) => b - a)).toEqual(expected);
    const names = ['1.png', '2.png', '3.png', '4.png'].map((name) => join(scene, name));
    expect(stored.flatMap(imagesOf).sort()).toEqual(names);
    await store.close();
  });

  it('labels nothing of a folder with images that cannot be read, and names them', async () => {
    const phone = join(root, 'phone, 2');
    cpSync(scene, phone, { recursive: true });
    writeFileSync(join(phone, 'IMG_1.HEIC'), '\0\0\0\x14ftypheic\0\0\0\0heic');
    writeFileSync(join(phone, '._1.png'), 'resource fork');
    const out = join(root, 'phone-labels');
    const refused = await label(out, '--images', phone);
    expect(refused).toMatchObject({ exitCode: 1, out: '' });
    expect(refused.err).toMatch(/1 of 5 images cannot be read: IMG_1\.HEIC \(an HEIC image\)/);
    expect(refused.err).toMatch(/hint: .*heif-convert.*spatialsv check "/);
    rmSync(join(phone, 'IMG_1.HEIC'));
    const labelled = await label(out, '--images', phone);
    expect(labelled).toMatchObject({ exitCode: 0 });
    expect(labelled.err).toContain('passed over scene.json: a text file');
  });

  it.each([
    ['--weights', './some', "weights ./some: the label source 'synthetic' has none"],
    [
      '--precision',
      'bfloat16',
      "--precision bfloat16: the label source 'synthetic' computes in float32",
    ],
  ])('refuses %s where the source has no use for it', async (option, value, message) => {
    const out = join(root, 'no-use');
    const { exitCode, err } = await label(out, '--images', scene, option, value);
    expect([exitCode, err]).toEqual([2, expect.stringContaining(message)]);
    expect(existsSync(out)).toBe(false);
  });

  it('takes patterns, sizes and settings of the source', async () => {
    const out = join(root, 'patterns');
    const pattern = join(rooms, '**', 'rotation', '*', '?.png');
    const file = join(root, 'settings.yaml');
    writeFileSync(file, 'featureGrid: { h: 9, w: 9 }\nheight: 5');
    const size = ['--height', '21', '--width', '28'];
    const settings = ['--settings', file, '--setting', 'featureGrid={h: 2, w: 3}'];
    const found = await label(out, '--images', pattern, ...size, ...settings);
    expect(found).toMatchObject({ exitCode: 0 });
    const [key] = await keysOf(out);
    const store = await LabelStore.open(out, { readOnly: true });
    const { labels, provenance } = store.read(key!)!;
    expect(labels).toMatchObject({ views: 4, height: 21, width: 28, features: { h: 2, w: 3 } });
    expect(provenance.settings).toEqual({ featureGrid: { h: 2, w: 3 }, height: 5 });
    await store.close();
  });

  it('labels disjoint and complete shards', async () => {
    const out = join(root, 'sharded');
    const seen: string[] = [];
    for (const index of [1, 2, 3]) {
      const result = summaryOf(await label(out, '--shard', `${index}/3`, '--json'));
      expect(result).toMatchObject({ written: result.sets, present: 0 });
      expect(Math.abs(result.sets - sets / 3)).toBeLessThan(1);
      seen.push(...(await keysOf(out)));
    }
    expect([...new Set(seen)].sort()).toEqual((await keysOf(shared)).sort());
    expect(await keysOf(out)).toHaveLength(sets);
  });
});

describe('an image that is broken', () => {
  const broken = join(root, 'broken');
  const bad = join(broken, 'other_all_image', 'rotation', 'train_000000', '2.png');
  const gone = join(broken, 'other_all_image', 'among', 'train_000001', '1.png');
  beforeAll(() => {
    cpSync(rooms, broken, { recursive: true });
    writeFileSync(bad, 'no image');
    rmSync(gone);
  });
  const run = (out: string, ...rest: string[]) =>
    runForTest(['label', '--source', 'synthetic', '--out', out, ...dataOf(broken), ...rest]);

  it('is told with its path; its sets are skipped and listed', async () => {
    const out = join(root, 'skipping');
    const result = await run(out, '--json');
    expect(result.exitCode).toBe(1);
    expect(result.err).toMatch(/error\[DATA_INVALID\]: .* not labelled/);
    expect(result.err).toContain(bad);
    const { written, skipped, failures } = summaryOf(result);
    expect(written).toBeGreaterThan(0);
    expect([written + skipped, failures.length]).toEqual([sets, skipped]);
    const lines = readFileSync(join(out, 'failures.jsonl'), 'utf8').trim().split('\n');
    expect(lines).toHaveLength(skipped);
    for (const line of lines) {
      const { stage, images, code, message } = JSON.parse(line);
      const path = code === 'IMAGE_INVALID' ? bad : gone;
      expect(stage).toBe('image');
      expect(images).toContain(path);
      expect(message).toContain(path);
    }
    cpSync(join(rooms, 'other_all_image'), join(broken, 'other_all_image'), { recursive: true });
    expect(summaryOf(await run(out, '--json'))).toMatchObject({
      written: skipped,
      present: written,
    });
    writeFileSync(bad, 'no image');
  });

  it('ends the run where asked', async () => {
    const result = await run(join(root, 'failing'), '--on-error', 'fail');
    expect(result.exitCode).toBe(1);
    expect(result.err).toMatch(/^error\[IMAGE_INVALID\]: .*2\.png/);
  });
});

describe('a run that is stopped', () => {
  it('says how to go on', async () => {
    const controller = new AbortController();
    const progress = {
      start() {},
      done() {},
      update(done: number, extra?: string) {
        if (extra !== undefined && done === 2) controller.abort();
      },
    };
    const out = join(root, 'stopped');
    const { signal } = controller;
    const stopped = await runForTest(labelArgs(out, '--json'), { signal, progress });
    expect(stopped.exitCode).toBe(130);
    expect(stopped.err).toMatch(/Repeat the command/);
    const { written, complete, stored } = summaryOf(stopped);
    expect([complete, stored]).toEqual([false, written]);
    // The one that was under way may have been finished.
    expect([2, 3]).toContain(written);
    const rest = summaryOf(await label(out, '--json'));
    expect(rest).toMatchObject({ written: sets - written, present: written });
  });
});

describe('processes of their own', () => {
  const entry = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
  const large = ['--height', '240', '--width', '320'];
  beforeAll(() => {
    if (!existsSync(entry)) throw new Error(`${entry} is missing: run \`npm run build\` first`);
  });
  const start = (out: string): ChildProcess =>
    spawn(process.execPath, [entry, ...labelArgs(out, ...large, '--json')], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  const countIn = async (folder: string): Promise<number> => {
    const store = await LabelStore.open(folder, { readOnly: true }).catch(() => undefined);
    const count = store?.count ?? 0;
    await store?.close();
    return count;
  };

  it('go on at the view set where they were killed', async () => {
    const out = join(root, 'killed');
    const child = start(out);
    const ended = once(child, 'exit');
    while ((await countIn(out)) < 2) await sleep(5);
    child.kill('SIGKILL');
    await ended;
    const kept = await countIn(out);
    const result = summaryOf(await label(out, ...large, '--json'));
    expect(result).toMatchObject({ written: sets - kept, present: kept, complete: true });
    expect((await runForTest(['labels', 'verify', out])).exitCode).toBe(0);
  });

  it('share a store and split the work', async () => {
    const out = join(root, 'together');
    const results = await Promise.all(
      [start(out), start(out)].map(async (child) => {
        let text = '';
        child.stdout!.on('data', (chunk) => {
          text += chunk;
        });
        const [code] = await once(child, 'close');
        expect(code).toBe(0);
        return JSON.parse(text);
      }),
    );
    for (const { written, present } of results) expect(written + present).toBe(sets);
    expect(results.map(({ written }) => written).reduce((a, b) => a + b)).toBe(sets);
    expect((await runForTest(['labels', 'verify', out])).exitCode).toBe(0);
  });
});

describe('labels show', () => {
  it('lists view sets', async () => {
    const { out } = await runForTest(['labels', 'show', shared, '--limit', '2']);
    const lines = out.trim().split('\n');
    expect(lines[0]).toMatch(/^KEY +SOURCE +VIEWS/);
    expect(lines[1]).toMatch(
      /^[0-9a-f]{12} +synthetic renderer-\d+ +\d +56×42 +100\.0 % .* Apache-2\.0 +train_/,
    );
    expect(lines[3]).toBe(`… and ${sets - 2} more`);
    expect(lines[4]).toMatch(new RegExp(`^${sets} view sets, \\d+ views, `));
  });

  it('tells one in detail', async () => {
    const [key] = await keysOf(shared);
    const { out } = await runForTest(['labels', 'show', shared, key!.slice(0, 8)]);
    for (const fact of [key!, 'pixelCentre half', 'Apache-2.0', 'FIELD OF VIEW', 'depth F16']) {
      expect(out).toContain(fact);
    }
    const json = summaryOf(await runForTest(['labels', 'show', shared, key!, '--json']));
    for (const { fieldOfView, depth, validShare } of json.detail) {
      expect(fieldOfView[0]).toBeCloseTo(72, 0);
      expect(0 < depth.min && depth.min < depth.median && depth.median < depth.max).toBe(true);
      expect(validShare).toBe(1);
    }
    expect(json.detail[0].centre.map(Math.abs)).toEqual([0, 0, 0]);
  });

  it('writes a centre at the origin without a sign', async () => {
    const keys = await keysOf(shared);
    const shown = keys.map((key) => runForTest(['labels', 'show', shared, key]));
    for (const { out } of await Promise.all(shown)) expect(out).not.toContain('-0.000');
  });
});

describe('labels verify', () => {
  it('finds nothing wrong, then images that have changed or are gone', async () => {
    const copy = join(root, 'copy');
    cpSync(scene, copy, { recursive: true });
    const out = join(root, 'verified');
    await label(out, '--images', copy);
    const fine = await runForTest(['labels', 'verify', out, '--images', '--json']);
    expect(fine).toMatchObject({ exitCode: 0, err: '' });
    expect(summaryOf(fine)).toEqual({ store: out, sets: 1, problems: [], removed: 0 });
    writeFileSync(join(copy, '1.png'), 'changed');
    rmSync(join(copy, '3.png'));
    expect((await runForTest(['labels', 'verify', out])).exitCode).toBe(0);
    const found = await runForTest(['labels', 'verify', out, '--images', '--json']);
    expect(found.exitCode).toBe(1);
    expect(found.err).toMatch(/^error\[DATA_INVALID\]/);
    const { problems } = summaryOf(found);
    expect(problems).toMatchObject([
      { damaged: false, reason: expect.stringContaining('1.png: has changed') },
      { damaged: false, reason: expect.stringContaining('3.png') },
    ]);
  });
});

describe('labels export', () => {
  it('writes every format', async () => {
    const [key] = await keysOf(shared);
    const out = join(root, 'exported');
    const to = ['--to', 'png,ply', '--to', 'glb', '--to', 'safetensors,colmap'];
    const result = await runForTest([
      'labels',
      'export',
      shared,
      '--out',
      out,
      '--keys',
      key!,
      ...to,
      '--json',
    ]);
    expect(result).toMatchObject({ exitCode: 0, err: '' });
    const [{ folder, files, notes }] = summaryOf(result).sets;
    expect(folder).toBe(join(out, key!.slice(0, 12)));
    for (const name of [
      ...['labels.json', 'depth/view-1.png', 'depth/view-1-16bit.png', 'points.ply', 'scene.glb'],
      ...['labels.safetensors', 'colmap/cameras.txt', 'colmap/images.txt', 'colmap/points3D.txt'],
    ]) {
      expect(files).toContain(name);
      expect(existsSync(join(folder, name))).toBe(true);
    }
    const store = await LabelStore.open(shared, { readOnly: true });
    const stored = store.read(key!)!;
    await store.close();
    expect(notes).toEqual([`colmap: --image_path ${dirname(stored.images[0]!.path)}`]);
    const reader = await openSafetensors(join(folder, 'labels.safetensors'));
    expect(await reader.readFloat32('depth')).toEqual(stored.labels.depth);
  });

  it('writes images of the first sets by default', async () => {
    const out = join(root, 'first');
    const result = await runForTest(['labels', 'export', shared, '--out', out, '--limit', '2']);
    expect(result).toMatchObject({ exitCode: 0, err: '' });
    const folders = result.out.trim().split('\n');
    expect(folders).toEqual(
      (await keysOf(shared)).slice(0, 2).map((key) => join(out, key.slice(0, 12))),
    );
    expect(existsSync(join(folders[1]!, 'depth/view-2.png'))).toBe(true);
    expect(existsSync(join(folders[1]!, 'points.ply'))).toBe(false);
  });

  it('says which view set needs an image that is gone', async () => {
    const copy = join(root, 'leaving');
    const out = join(root, 'left');
    cpSync(scene, copy, { recursive: true });
    await label(out, '--images', copy);
    rmSync(copy, { recursive: true });
    const result = await runForTest([
      'labels',
      'export',
      out,
      '--out',
      join(root, 'x'),
      '--to',
      'ply',
    ]);
    expect(result.exitCode).toBe(1);
    expect(result.err).toMatch(/^error\[FILE_MISSING\]: view set [0-9a-f]{12}: .*1\.png/);
  });
});

describe('wrong usage', () => {
  const base = ['label', '--source', 'synthetic', '--out', join(root, 'unused')];
  it.each([
    [[...base], /neither/, /--images/],
    [[...base, '--images', 'a', '--data', 'b'], /both/, /--data/],
    [[...base, '--data', 'b', '--views', '2'], /--views/, /--images/],
    [[...base, '--images', 'b', '--format', 'jsonl'], /--format/, /--data/],
    [[...base, '--images', 'a', '--width', '4'], /--width alone/, /both/],
    [[...base, '--images', 'a', '--shard', '0/2'], /i from 1 to n/, /--help/],
    [[...base, '--images', 'a', '--on-error', 'stop'], /skip, fail/, /--help/],
    [[...base, '--images', 'a', '--setting', 'x'], /key=value/, /--help/],
    [['label', '--source', 'sintetic', '--images', 'a', '--out', 'b'], /sintetic/, /"synthetic"/],
    [['labels', 'export', 'x', '--otu', 'y'], /unknown option '--otu'/, /--out/],
    [['labels', 'export', 'x', '--to', 'obj', '--out', 'y'], /"obj"/, /--help/],
    [['labels', 'shwo', 'x'], /shwo/, /show/],
    [['labels', 'show', shared, 'zz'], /no key .* "zz"/, /labels show/],
  ])('%j exits with 2', async (args, message, hint) => {
    const { exitCode, err } = await runForTest(args);
    const [first, second] = err.split('\n');
    expect([exitCode, first]).toEqual([2, expect.stringMatching(/^error\[USAGE\]: /)]);
    expect(first).toMatch(message);
    expect(second).toMatch(hint);
    expect(existsSync(join(root, 'unused'))).toBe(false);
  });

  it('names a setting that the source does not know, and what is no store', async () => {
    const images = ['--images', scene];
    const setting = await label(join(root, 'unused'), ...images, '--setting', 'grid=3');
    expect(setting.err).toMatch(/^error\[CONFIG_INVALID\]: .*grid/m);
    const folder = await label(rooms, ...images);
    expect(folder.err).toMatch(/^error\[DATA_INVALID\]: .*label store/m);
    const none = await runForTest(['labels', 'show', join(root, 'nowhere')]);
    expect(none).toMatchObject({
      exitCode: 1,
      err: expect.stringMatching(/^error\[FILE_MISSING\]/),
    });
    const empty = await label(join(root, 'unused'), '--images', join(rooms, 'raw'));
    expect(empty.err).toMatch(/^error\[FILE_MISSING\]: .*expected images, found none/);
  });

  it('tells subcommands with examples', async () => {
    for (const name of ['show', 'verify', 'export']) {
      const { exitCode, out } = await runForTest(['labels', name, '--help']);
      expect(exitCode).toBe(0);
      expect(out).toContain(`  $ spatialsv labels ${name}`);
    }
  });
});
