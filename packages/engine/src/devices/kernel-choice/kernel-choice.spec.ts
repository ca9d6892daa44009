import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { userCacheFolder } from '../../cache-folder.js';
import { BLOCK_SIZES, BLOCKED_DOMAIN, type KernelSize } from '../../graph/choice.js';
import type { Graph } from '../../graph/graph.js';
import { compile, float32, ops, type Tensor } from '../../index.js';
import { trace } from '../../trace/trace.js';
import { processClocks } from './clocks.js';
import { chooseKernels, type KernelReport } from './index.js';
import { findBlock, measureKernels, measureSize } from './measure.js';
import { parseOverride } from './override.js';
import { fastest } from './rounds.js';
import { areEqual, prepareGraph } from './run-graph.js';
import { type KernelTrial, kernelTrials, witnessGraph } from './trials.js';

const root = mkdtempSync(path.join(tmpdir(), 'kernel-choice-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const trialOf = (kind: string): KernelTrial => kernelTrials().find((trial) => trial.kind === kind)!;
const LAYOUT_KINDS = ['product', 'convolution3x3', 'convolution1x1', 'convolution-gradient'];
/** Products are rearranged by ONNX Runtime itself, on both sides: whole blocks are right at any size that divides them. */
const CONVOLUTIONS = LAYOUT_KINDS.slice(1);
const KINDS = [...LAYOUT_KINDS, 'stored-product'];
/** Smaller than what is measured, and still in the layout. */
const SMALL: KernelSize = { rows: 289, channels: 32 };

/** Soon measured: what is kept of a measurement has nothing to do with sizes. */
const FEW_TRIALS = LAYOUT_KINDS.map((kind) => ({ ...trialOf(kind), sizes: [SMALL] }));

/** However long it takes. */
const measuring = { clocks: processClocks(1), end: Number.POSITIVE_INFINITY };

/** Every size has its turns in the first process, whatever else the machine does. */
const stillClocks = { ...processClocks(1), now: () => 0, processorTime: () => undefined };

const blockedConvolutions = (graph: Graph): number =>
  graph.nodes.filter(({ operator, domain }) => operator === 'Conv' && domain === BLOCKED_DOMAIN)
    .length;

describe('trials', () => {
  it('exist for every kind that a graph asks for', () => {
    expect(kernelTrials().map(({ kind }) => kind)).toEqual(KINDS);
  });

  it.each(LAYOUT_KINDS)('of %s compare the layout with plain operators, at every size', (kind) => {
    const trial = trialOf(kind);
    for (const size of trial.sizes) {
      expect(blockedConvolutions(trial.write('plain', size, undefined))).toBe(0);
      for (const block of BLOCK_SIZES) {
        expect(blockedConvolutions(trial.write('blocked', size, block))).toBeGreaterThanOrEqual(2);
      }
    }
  });

  it('of products with stored weights compare all threads, one, and each with pieces of its own', () => {
    const trial = trialOf('stored-product');
    for (const size of trial.sizes) {
      const ways = trial.candidates.map((way) => trial.write(way, size, undefined));
      expect(ways.map(({ threading }) => threading)).toEqual(['shared', 'single', 'in-pieces']);
      // Several chunks, or there would be no other core to wait for.
      for (const { dealt } of ways) expect(dealt.size).toBeGreaterThan(1);
    }
  });

  it('refuse to compare plain operators with themselves', () => {
    const few = { rows: 9, channels: 32 };
    expect(() => trialOf('convolution3x3').write('blocked', few, 16)).toThrow(/does not use it/);
  });
});

describe('the block size', () => {
  it('is the one size, if any, whose results equal those of plain operators', async () => {
    const { block } = await findBlock();
    const agreeing = [];
    for (const candidate of BLOCK_SIZES) {
      if ((await findBlock([candidate])).block === candidate) agreeing.push(candidate);
    }
    expect(agreeing).toEqual(block === undefined ? [] : [block]);
  });

  // Otherwise a layout that we write wrongly would only be left unused, and whatever compares it would compare plain with plain.
  (process.arch === 'x64' ? it : it.skip)('is found on every processor of x64', async () => {
    expect(BLOCK_SIZES).toContain((await findBlock()).block);
  });

  it.each(CONVOLUTIONS)('is rejected for %s where it is wrong', async (kind) => {
    const { block } = await findBlock();
    for (const candidate of BLOCK_SIZES) {
      const { equal, chosen } = await measureSize(trialOf(kind), SMALL, candidate, measuring);
      expect(equal.includes('blocked')).toBe(candidate === block);
      if (candidate !== block) expect(chosen).toBe('plain');
    }
  });

  it('is rejected by each convolution of the check alone', async () => {
    const { block } = await findBlock();
    const wrong = BLOCK_SIZES.filter((candidate) => candidate !== block);
    const plain = await prepareGraph(witnessGraph(undefined));
    await plain.run();
    for (const candidate of wrong) {
      const blocked = await prepareGraph(witnessGraph(candidate));
      await blocked.run();
      const agrees = plain.results.map((values, i) => areEqual([blocked.results[i]!], [values]));
      expect(agrees.slice(0, -1)).toEqual([false, false, false, false]);
      blocked.dispose();
    }
    plain.dispose();
  });
});

describe('equality', () => {
  const numbers = Float32Array.of(1, -2, 3);

  it('holds up to the order of sums, and not for zeros or numbers that are not finite', () => {
    expect(areEqual([Float32Array.of(1, -2, 3.0001)], [numbers])).toBe(true);
    expect(areEqual([Float32Array.of(1, -2, 3.01)], [numbers])).toBe(false);
    expect(areEqual([Float32Array.of(1, Number.NaN, 3)], [numbers])).toBe(false);
    expect(areEqual([new Float32Array(3)], [new Float32Array(3)])).toBe(false);
  });
});

describe('a measurement', () => {
  it('keeps the reference unless another equal way is clearly faster', () => {
    const chosen = (equal: string[], blocked: number, isUndisturbed = false) =>
      fastest(equal, { plain: 10, blocked }, 'plain', isUndisturbed);
    expect(chosen(['plain', 'blocked'], 5)).toBe('blocked');
    expect(chosen(['plain', 'blocked'], 9.9)).toBe('plain');
    expect(chosen(['plain'], 5)).toBe('plain');
    // Where nothing disturbed the runs, smaller differences tell.
    expect(chosen(['plain', 'blocked'], 9.75)).toBe('plain');
    expect(chosen(['plain', 'blocked'], 9.75, true)).toBe('blocked');
  });

  it('of a way that the library refuses takes the reference', async () => {
    const broken: KernelTrial = {
      ...trialOf('product'),
      write: (candidate, size, block) => {
        const graph = trialOf('product').write(candidate, size, block);
        if (candidate !== 'plain') graph.add('Unknown', [], { shape: [1], dtype: 'float32' });
        return graph;
      },
    };
    const measured = await measureSize(broken, SMALL, 16, measuring);
    expect(measured).toMatchObject({ chosen: 'plain', equal: ['plain'] });
  });

  it('drops a way that was not equal in every round', async () => {
    const trials = [{ ...trialOf('convolution1x1'), sizes: [SMALL] }];
    const { block } = await findBlock();
    const [once] = await measureKernels(trials, block, [], measuring);
    const unequal = { ...once!, equal: ['plain'], chosen: 'plain', ms: { plain: 1e6 }, turns: 0 };
    const [again] = await measureKernels(trials, block, [unequal], measuring);
    expect(again).toMatchObject({ equal: ['plain'], chosen: 'plain', rounds: 2 });
  });
});

describe('a kept measurement', () => {
  const folder = path.join(root, 'kept');
  const fileOf = () => path.join(folder, readdirSync(folder)[0]!);
  const reportOf = async (): Promise<KernelReport> =>
    (await chooseKernels(folder, undefined, stillClocks, FEW_TRIALS)).report;

  it('is taken by the next processes', async () => {
    const all = path.join(root, 'all');
    const measuredIn = async () => (await chooseKernels(all, undefined, stillClocks)).report;
    const first = await measuredIn();
    const file = path.join(all, readdirSync(all)[0]!);
    expect(first).toMatchObject({ source: 'measured', file });
    expect(first.kernels).toHaveLength(kernelTrials().flatMap(({ sizes }) => sizes).length);
    const { source, kernels, block } = await measuredIn();
    expect({ source, kernels, block }).toEqual({
      source: 'cache',
      kernels: first.kernels,
      block: first.block,
    });
    expect(readdirSync(all)).toHaveLength(1);
  });

  it.each([
    ['is no JSON', () => '{"key":'],
    ['is of another machine', (text: string) => text.replace(/"threads": \d+/, '"threads": 999')],
    [
      'is of another version',
      (text: string) => text.replace(/"onnxRuntime": "/, '"onnxRuntime": "0.'),
    ],
    ['has lost a part', (text: string) => text.replace('"ms"', '"other"')],
    ['has lost its date', (text: string) => text.replace('"since"', '"other"')],
    [
      'chose what was not equal',
      (text: string) => text.replace(/"chosen": "\w+"/, '"chosen": "none"'),
    ],
  ])('that %s is measured anew', async (_case, damage) => {
    const kept = await reportOf();
    const damaged = damage(readFileSync(fileOf(), 'utf8'));
    writeFileSync(fileOf(), damaged);
    const anew = await reportOf();
    expect(anew.source).toBe('measured');
    expect(anew.kernels.map(({ rounds }) => rounds)).toEqual(kept.kernels.map(() => 1));
    expect(readFileSync(fileOf(), 'utf8')).not.toBe(damaged);
  });

  it('that claims a wrong block size is not believed', async () => {
    const { block } = await reportOf();
    const wrong = BLOCK_SIZES.find((candidate) => candidate !== block)!;
    const text = readFileSync(fileOf(), 'utf8');
    writeFileSync(fileOf(), text.replace(/"block": \w+,/, `"block": ${wrong},`));
    const again = await reportOf();
    expect(again).toMatchObject({ source: 'measured', block });
    const { choice } = await chooseKernels(folder, undefined, stillClocks, FEW_TRIALS);
    expect(choice.block ?? null).toBe(block);
  });

  it('in a folder that cannot be written is no failure', async () => {
    const blocked = path.join(root, 'a-file');
    writeFileSync(blocked, '');
    const below = path.join(blocked, 'below');
    const { report } = await chooseKernels(below, undefined, stillClocks, FEW_TRIALS);
    expect(report).toMatchObject({ source: 'measured', file: null });
  });

  it.each([
    ['linux', { XDG_CACHE_HOME: '/cache' }, '/cache/spatialsv'],
    ['linux', { XDG_CACHE_HOME: 'relative' }, path.join(homedir(), '.cache/spatialsv')],
    ['linux', {}, path.join(homedir(), '.cache/spatialsv')],
    ['darwin', {}, path.join(homedir(), 'Library/Caches/spatialsv')],
    ['win32', { LOCALAPPDATA: '/local' }, path.join('/local', 'spatialsv/cache')],
  ] as const)('lies in the folder of the user on %s with %j', (platform, variables, expected) => {
    expect(userCacheFolder(platform, variables)).toBe(expected);
  });
});

describe('SPATIALSV_KERNELS', () => {
  const folder = path.join(root, 'override');

  it('chooses every kind without a measurement', async () => {
    const { choice, report } = await chooseKernels(folder, 'blocked', stillClocks);
    expect(report).toMatchObject({ source: 'override', override: 'blocked', kernels: [] });
    expect(choice.of('product', SMALL)).toBe('blocked');
    expect(choice.block ?? null).toBe(report.block);
  });

  it('chooses single kinds beside a measurement', async () => {
    const { choice, report } = await chooseKernels(
      folder,
      'product=plain, convolution1x1=blocked',
      stillClocks,
      FEW_TRIALS,
    );
    expect(report.source).not.toBe('override');
    expect(choice.of('product', SMALL)).toBe('plain');
    expect(choice.of('convolution1x1', SMALL)).toBe('blocked');
    expect(['plain', 'blocked']).toContain(choice.of('convolution3x3', SMALL));
  });

  it.each(['fast', 'product=fast', 'matmul=plain'])('refuses %j', (text) => {
    const known = new Map([['product', ['plain', 'blocked']]]);
    expect(() => parseOverride(text, known)).toThrow(
      expect.objectContaining({ code: 'INPUT_INVALID', hint: expect.stringContaining('product=') }),
    );
  });

  it('that is empty chooses nothing', () => {
    expect(parseOverride(' ', new Map())).toBeUndefined();
  });
});

describe('graphs', () => {
  const layer = ({ x, weight }: Record<'x' | 'weight', Tensor>) => ({
    y: ops.linear(x, weight),
  });
  const specs = { x: float32(300, 32), weight: float32(48, 32) };

  it('name what could be written in another way, and follow a choice', () => {
    expect(trace(layer, specs).graph.alternatives).toEqual([
      { kind: 'product', size: { rows: 300, channels: Math.sqrt(32 * 48) } },
    ]);
    const ways = (way: string) =>
      trace(layer, specs, { choice: { block: 16, of: () => way } }).graph;
    expect(blockedConvolutions(ways('plain'))).toBe(0);
    expect(blockedConvolutions(ways('blocked'))).toBe(1);
    expect(trace(layer, { ...specs, x: float32(200, 32) }).graph.alternatives).toEqual([]);
  });

  it('of programs give the same in either way', async () => {
    const compiled = await compile(layer, specs);
    const x = Float32Array.from({ length: 300 * 32 }, (_, i) => Math.sin(i));
    const weight = Float32Array.from({ length: 48 * 32 }, (_, i) => Math.cos(i));
    const { y } = (await compiled.run({ x, weight })) as Record<
      string,
      { read(): Promise<Float32Array> }
    >;
    const found = await y!.read();
    for (const [row, column] of [
      [0, 0],
      [17, 5],
      [299, 47],
    ] as const) {
      let sum = 0;
      for (let i = 0; i < 32; i += 1) sum += x[row * 32 + i]! * weight[column * 32 + i]!;
      expect(found[row * 48 + column]).toBeCloseTo(sum, 4);
    }
    await compiled.dispose();
  });
});
