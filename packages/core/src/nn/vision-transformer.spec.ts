import { type Tensor, tf } from '@spatialsv/engine';
import { SpatialError } from '../errors.js';
import { expectAllclose } from '../testing/allclose.js';
import { filled } from '../testing/filled.js';
import { parameterScope } from './parameter-scope.js';
import { visionBlock } from './vision-block.js';
import { DINO_NAMES, towerShapes, type VisionTowerConfig } from './vision-config.js';
import { embedPatches } from './vision-patches.js';
import { rotary2d } from './vision-positions.js';
import { visionTower } from './vision-transformer.js';

beforeAll(() => tf.setBackend('cpu'));

const tensor = (name: string, shape: readonly number[]): Tensor =>
  tf.tensor(filled(name, shape), [...shape]);

const parametersOf = (config: VisionTowerConfig, names = DINO_NAMES): Record<string, Tensor> =>
  Object.fromEntries(
    Object.entries(towerShapes(config, names)).map(([name, shape]) => [name, tensor(name, shape)]),
  );

/** Windows of 2×2 cells of 2×2 patches, in all blocks but one. */
const windowed: VisionTowerConfig = {
  width: 16,
  heads: 2,
  depth: 3,
  norm: { kind: 'rms', epsilon: 1e-6 },
  qkvBias: true,
  layerScale: false,
  mlp: { hidden: 24, activation: 'silu', gated: true },
  patch: { size: 2, channels: 3, frames: 2, bias: false },
  cellSide: 2,
  rotary: { base: 10000, form: 'head' },
  windows: { side: 2, wholeBlocks: [1] },
};
const names = {
  ...DINO_NAMES,
  block: { ...DINO_NAMES.block, mlp: { gate: 'gate', up: 'up', down: 'down' } },
};
const grid = { h: 6, w: 10 };
const values = 3 * 2 * 2 * 2;

/** Patch (row, column) at each place of the given order: cells row by row, patches of a cell row by row. */
const given = Array.from({ length: grid.h * grid.w }, (_, patch) => {
  const [cell, inside] = [Math.floor(patch / 4), patch % 4];
  const columns = grid.w / 2;
  return {
    row: 2 * Math.floor(cell / columns) + Math.floor(inside / 2),
    column: 2 * (cell % columns) + (inside % 2),
  };
});
const rowMajor = given.map(({ row, column }) => row * grid.w + column);

describe('visionTower', () => {
  const parameters = parametersOf(windowed, names);
  const scope = parameterScope(parameters);
  const patches = tensor('patches', [1, grid.h * grid.w, values]);
  const input = { patches, grid };
  const run = (states: readonly number[], blocks = windowed.depth) =>
    visionTower(windowed, names, scope, input, { states, blocks });

  /** Every window alone, in the given order: what the tower batches, one by one. */
  const alone = (blocks: number): Tensor => {
    const rotaryOf = (places: readonly number[]) =>
      rotary2d(
        places.flatMap((place) => [given[place]!.row, given[place]!.column]),
        8,
        windowed.rotary!,
      );
    const all = given.map((_, place) => place);
    const windowOf = (place: number) =>
      `${Math.floor(given[place]!.row / 4)} ${Math.floor(given[place]!.column / 4)}`;
    const windows = [...new Set(all.map(windowOf))].map((window) =>
      all.filter((place) => windowOf(place) === window),
    );
    let x = embedPatches(scope.scope('patch_embed.proj'), patches);
    for (let block = 0; block < blocks; block++) {
      const rows = tf.reshape(x, [grid.h * grid.w, 16]);
      const sets = block === 1 ? [all] : windows;
      const results: Tensor[] = [];
      for (const places of sets) {
        const sequence = tf.expandDims(tf.gather(rows, tf.tensor1d(places, 'int32')), 0);
        const options = { names: names.block, rotary: rotaryOf(places) };
        const y = visionBlock(windowed, scope.scope(`blocks.${block}`), sequence, options);
        results.push(...places.map((_, i) => tf.slice(y, [0, i, 0], [1, 1, 16])));
      }
      const order = sets.flat();
      const back = order.map((_, place) => order.indexOf(place));
      x = tf.concat(
        back.map((place) => results[place]!),
        1,
      );
    }
    return x;
  };

  it('gives what ragged windows give one by one, in the given order', () => {
    expectAllclose(run([]).features().dataSync(), alone(3).dataSync(), { atol: 1e-5 });
  });

  it('gives the asked states row by row, 0 being the patch embedding', () => {
    const { states } = run([0, 2]);
    expect(Object.keys(states)).toEqual(['0', '2']);
    for (const blocks of [0, 2]) {
      const expected = tf.reshape(alone(blocks), [grid.h * grid.w, 16]);
      const found = tf.reshape(states[blocks]!, [grid.h * grid.w, 16]);
      const rows = tf.gather(found, tf.tensor1d(rowMajor, 'int32'));
      expectAllclose(rows.dataSync(), expected.dataSync(), { atol: 1e-5 });
    }
  });

  it('runs only the blocks that were asked for', () => {
    const first = Object.fromEntries(
      Object.entries(parameters).filter(([name]) => !/^blocks\.[12]/.test(name)),
    );
    const out = visionTower(windowed, names, parameterScope(first), input, { blocks: 1 });
    expectAllclose(out.features().dataSync(), alone(1).dataSync(), { atol: 1e-5 });
  });

  it('runs several images as it runs them one by one', () => {
    const other = tensor('others', patches.shape);
    const both = { patches: tf.concat([patches, other], 0), grid };
    const found = tf.split(visionTower(windowed, names, scope, both).features(), 2, 0);
    const apart = [patches, other].map((one) =>
      visionTower(windowed, names, scope, { patches: one, grid }).features(),
    );
    for (const i of [0, 1])
      expectAllclose(found[i]!.dataSync(), apart[i]!.dataSync(), { atol: 1e-5 });
  });

  it('has the derivative that central differences show', () => {
    const name = 'blocks.0.attn.qkv.weight';
    const loss = (value: Tensor) => {
      const changed = parameterScope({ ...parameters, [name]: value });
      return tf.mean(
        tf.square(visionTower(windowed, names, changed, input).features()),
      ) as tf.Scalar;
    };
    const weight = parameters[name]!;
    const direction = tf.randomNormal(weight.shape, 0, 1, 'float32', 4);
    const step = 1e-2;
    const plus = loss(tf.add(weight, tf.mul(direction, step))).dataSync()[0]!;
    const minus = loss(tf.sub(weight, tf.mul(direction, step))).dataSync()[0]!;
    const analytic = tf.sum(tf.mul(tf.grad(loss)(weight), direction)).dataSync()[0]!;
    expect(Math.abs((plus - minus) / (2 * step) - analytic)).toBeLessThan(
      1e-2 * Math.max(Math.abs(analytic), 1e-2),
    );
  });

  it('refuses states, grids and forms that it does not have', () => {
    const code = (action: () => unknown) => {
      try {
        action();
      } catch (error) {
        return SpatialError.isInstance(error) ? error.code : 'other';
      }
      return 'none';
    };
    for (const state of [-1, 4, 0.5]) expect(code(() => run([state]))).toBe('TAP_UNKNOWN');
    expect(code(() => run([2], 1))).toBe('TAP_UNKNOWN');
    for (const other of [
      { h: 6, w: 9 },
      { h: 5, w: 12 },
    ]) {
      const wrong = { patches, grid: other };
      expect(code(() => visionTower(windowed, names, scope, wrong))).toBe('SHAPE_MISMATCH');
    }
    const both = { ...windowed, classToken: { angles: false } };
    expect(code(() => visionTower(both, names, scope, input))).toBe('CONFIG_INVALID');
  });
});
