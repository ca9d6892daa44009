import { compile, createTensor } from '../compile.js';
import { environment } from '../executor/environment.js';
import { liveHandles, Session } from '../executor/index.js';
import { float32, int32, type Program, type SpecTree, type Tree } from '../specs.js';
import { TensorPool } from '../tensor-pool.js';
import { type Tensor, tf } from '../tfjs.js';
import type { CompiledProgram, CompileOptions, DeviceTensor, RunValue } from './index.js';

type Inputs = Record<string, Tensor>;

const open = (
  program: (inputs: Inputs) => Tree<Tensor>,
  specs: SpecTree,
  options?: CompileOptions,
): Promise<CompiledProgram> => compile(program as Program, specs, options);

/** A table and indices, of which some are out of its range. */
const lookUp = ({ table, ids }: Inputs) => ({
  rows: tf.gather(table!, ids as tf.Tensor1D),
  twice: tf.mul(table!, 2),
});
const specs = { table: float32(3, 2), ids: int32(2) };
const table = new Float32Array(6);
const good = { table, ids: Int32Array.of(2, 0) };

/** Native objects that are left over by something that is done twice: the first time may open what stays open. */
async function leftOver(work: () => Promise<void>): Promise<number> {
  await work();
  const before = liveHandles();
  await work();
  return liveHandles() - before;
}

describe('a run that fails', () => {
  it.each<[string, Record<string, RunValue>, Record<string, DeviceTensor>, string]>([
    ['for an input that is missing', { table }, {}, 'INPUT_INVALID'],
    ['for an input that is unknown', { ...good, other: table }, {}, 'INPUT_INVALID'],
    ['for a second input of another size', { table, ids: new Int32Array(3) }, {}, 'INPUT_INVALID'],
    ['for a target of another shape', good, { twice: createTensor(float32(1)) }, 'INPUT_INVALID'],
    ['inside a kernel', { table, ids: Int32Array.of(0, 99) }, {}, 'RUN_FAILED'],
  ])('leaves nothing behind: %s', async (_, inputs, into, code) => {
    const program = await open(lookUp, specs);
    const left = await leftOver(async () => {
      await expect(program.run(inputs, into)).rejects.toMatchObject({ code });
    });
    expect(left).toBe(0);
    const { rows, twice } = (await program.run(good)) as Record<string, DeviceTensor>;
    expect(Array.from(await rows!.read())).toEqual([0, 0, 0, 0]);
    rows!.dispose();
    twice!.dispose();
    await program.dispose();
  });

  it('leaves the targets to their owner', async () => {
    const program = await open(lookUp, specs);
    const twice = createTensor(float32(3, 2));
    const bad = { table, ids: Int32Array.of(0, 99) };
    await expect(program.run(bad, { twice })).rejects.toMatchObject({ code: 'RUN_FAILED' });
    expect((await twice.read()).length).toBe(6);
    await program.dispose();
  });
});

describe('a run that succeeds', () => {
  it('leaves nothing but its outputs', async () => {
    const program = await open(lookUp, specs);
    const left = await leftOver(async () => {
      const outputs = await program.run(good);
      for (const tensor of Object.values(outputs as Record<string, DeviceTensor>)) tensor.dispose();
    });
    expect(left).toBe(0);
    await program.dispose();
  });

  it('holds no array of tensors that were disposed', async () => {
    const program = await open(lookUp, specs);
    const whole = (await program.run(good)) as Record<string, DeviceTensor>;
    for (const tensor of Object.values(whole)) tensor.dispose();
    await expect(whole['twice']!.read()).rejects.toMatchObject({ code: 'DISPOSED' });
    await program.dispose();
  });
});

describe('compiling', () => {
  it.each([
    ['state that is no output', { state: ['ids'] }, 'PROGRAM_INVALID'],
    ['state that is no input', { state: ['rows'] }, 'PROGRAM_INVALID'],
    ['gradients by what is no input', { gradients: ['other'] }, 'PROGRAM_INVALID'],
  ])('leaves nothing behind when it fails: %s', async (_, options, code) => {
    const left = await leftOver(async () => {
      await expect(open(lookUp, specs, options)).rejects.toMatchObject({ code });
    });
    expect(left).toBe(0);
  });

  it('and disposing leaves nothing behind', async () => {
    const left = await leftOver(async () => {
      const program = await open(lookUp, specs);
      await program.dispose();
    });
    expect(left).toBe(0);
  });
});

describe('disposing', () => {
  it('waits for runs that were asked for before, and refuses others', async () => {
    const program = await open(lookUp, specs, { name: 'look-up' });
    const runs = [program.run(good), program.run(good)];
    const end = program.dispose();
    await expect(program.run(good)).rejects.toMatchObject({
      code: 'DISPOSED',
      message: expect.stringContaining('look-up'),
    });
    await Promise.all(runs);
    await Promise.all([end, program.dispose()]);
    await expect(program.run(good)).rejects.toMatchObject({ code: 'DISPOSED' });
  });

  it('ends the use of a tensor with an error that says so', async () => {
    const program = await open(lookUp, specs);
    const tensor = createTensor(float32(3, 2));
    tensor.dispose();
    tensor.dispose();
    const uses = [
      () => tensor.read(),
      () => tensor.write(table),
      () => program.run({ ...good, table: tensor }),
      () => program.run(good, { twice: tensor }),
    ];
    for (const use of uses) await expect(use()).rejects.toMatchObject({ code: 'DISPOSED' });
    await program.dispose();
  });

  it('of an input during the run does not disturb it', async () => {
    const add = ({ a, b }: Inputs) => ({ sum: tf.add(a!, b!) });
    const program = await open(add, { a: float32(70_000), b: float32(70_000) });
    const ones = () => createTensor(float32(70_000), new Float32Array(70_000).fill(1));
    const [a, b] = [ones(), ones()];
    const run = program.run({ a, b });
    await new Promise<void>((resolve) => setImmediate(resolve));
    a.dispose();
    b.dispose();
    const { sum } = (await run) as { sum: DeviceTensor };
    expect(new Set(await sum.read())).toEqual(new Set([2]));
    await program.dispose();
  });
});

describe('the threads of a program', () => {
  it.each([
    [undefined, {}],
    [true, { threads: environment().threads, restsBetweenRuns: true }],
  ])('are its own and rest between runs where that is asked for: %s', async (rests, expected) => {
    const create = jest.spyOn(Session, 'create');
    const program = await open(lookUp, specs, { name: 'looked up', ...(rests && { rests }) });
    const made = create.mock.calls.filter(([, { name }]) => name === 'looked up');
    create.mockRestore();
    const { threads, restsBetweenRuns } = made[0]![1];
    expect({ threads, restsBetweenRuns }).toEqual({
      threads: undefined,
      restsBetweenRuns: undefined,
      ...expected,
    });
    // What sleeps between runs wakes up for the next.
    for (let run = 0; run < 3; run += 1) await program.run(good);
    await program.dispose();
  });
});

describe('a tensor that is given twice', () => {
  const shift = ({ state, x }: Inputs) => ({ state: tf.add(state!, x!), twice: tf.mul(x!, 2) });
  const shapes = { state: float32(2), x: float32(2) };
  const run = async (inputs: 'state and input' | 'state and output' | 'input and output') => {
    const program = await open(shift, shapes, { state: ['state'] });
    const [one, other] = [createTensor(float32(2)), createTensor(float32(2))];
    const [first, second, third] = inputs.split(' and ').includes('input')
      ? [one, inputs.startsWith('state') ? one : other, other]
      : [one, other, one];
    const target = inputs === 'input and output' ? second : third;
    const outcome = program.run({ state: first!, x: second! }, { twice: target! });
    await expect(outcome).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await program.dispose();
  };

  it.each(['state and input', 'state and output', 'input and output'] as const)(
    'is refused where a run would write it: %s',
    run,
  );
});

describe('TensorPool', () => {
  it('takes its tensors back from a run that fails', async () => {
    const pool = new TensorPool(2 ** 20);
    const program = await open(lookUp, specs);
    const give = async (inputs: Record<string, RunValue>) => {
      const outputs = (await pool.run(program, inputs)) as Record<string, DeviceTensor>;
      pool.give(...Object.values(outputs));
    };
    await give(good);
    const left = await leftOver(() => give({ table }).catch(() => undefined));
    await give(good);
    expect(left).toBe(0);
    pool.dispose();
    await program.dispose();
  });
});
