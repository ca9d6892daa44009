import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { compile, createTensor } from '../compile.js';
import { float32, type MappedTensor, type Program, type Tree } from '../specs.js';
import { type Tensor, tf } from '../tfjs.js';
import { EagerDevice } from './eager-device.js';
import type { DeviceTensor } from './index.js';

type Inputs = Record<string, Tensor>;
const program = (f: (inputs: Inputs) => Tree<Tensor>): Program => f;
const shift = program(({ state, x }) => ({ state: tf.add(state!, x!), twice: tf.mul(x!, 2) }));
const specs = { state: float32(2), x: float32(2) };
const ones = Float32Array.of(1, 1);
const onEager = { device: 'tfjs-cpu', state: ['state'] };

describe('an eager device', () => {
  it('runs programs of two backends at the same time, each on its own', async () => {
    tf.registerBackend('of-tests', () => new tf.KernelBackend());
    const seen: Record<string, string> = {};
    const look = (name: string) =>
      program(() => {
        seen[name] = tf.getBackend();
        return {};
      });
    const devices = [new EagerDevice('a', 'cpu'), new EagerDevice('b', 'of-tests')];
    const programs = await Promise.all([
      devices[0]!.compile(look('cpu'), {}, {}),
      devices[1]!.compile(look('of-tests'), {}, {}),
    ]);
    await Promise.all(programs.map((each) => each.run({})));
    expect(seen).toEqual({ cpu: 'cpu', 'of-tests': 'of-tests' });
  });

  it('names state that is host data, and what is used after its end', async () => {
    const compiled = await compile(shift, specs, onEager);
    await expect(compiled.run({ state: ones, x: ones })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
    });
    const state = createTensor(float32(2), ones, 'tfjs-cpu');
    const { twice } = (await compiled.run({ state, x: ones })) as { twice: DeviceTensor };
    expect(Array.from(await state.read())).toEqual([2, 2]);
    twice.dispose();
    twice.dispose();
    await expect(twice.read()).rejects.toMatchObject({ code: 'DISPOSED' });
    await expect(compiled.run({ state, x: twice })).rejects.toMatchObject({ code: 'DISPOSED' });
    await compiled.dispose();
    await expect(compiled.run({ state, x: ones })).rejects.toMatchObject({ code: 'DISPOSED' });
    state.dispose();
  });

  it('reads a weight once for two first runs at the same time, and leaves no tensor behind', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'spatialsv-eager-'));
    const file = path.join(folder, 'weight.bin');
    writeFileSync(file, new Uint8Array(ones.buffer));
    const weight: MappedTensor = {
      kind: 'mapped',
      shape: [2],
      storedAs: 'F32',
      file,
      byteOffset: 0,
      byteLength: 8,
    };
    await tf.setBackend('cpu');
    const before = tf.memory().numTensors;
    const double = program(({ w }) => ({ y: tf.mul(w!, 2) }));
    const given = { kind: 'weight', shape: [2], storedAs: 'F32' } as const;
    const compiled = await compile(double, { w: given }, { device: 'tfjs-cpu' });
    const runs = await Promise.all([compiled.run({ w: weight }), compiled.run({ w: weight })]);
    for (const run of runs) {
      const { y } = run as { y: DeviceTensor };
      expect(Array.from(await y.read())).toEqual([2, 2]);
      y.dispose();
    }
    await compiled.dispose();
    expect(tf.memory().numTensors).toBe(before);
    rmSync(folder, { recursive: true });
  });
});
