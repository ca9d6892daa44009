import { Graph } from '../graph/graph.js';
import { encodeModel } from '../onnx/encode.js';
import { float32 } from '../specs.js';
import { DeviceValue, liveHandles, type SessionLease, type SessionOptions } from './index.js';
import { Session } from './session.js';
import { SessionPool } from './session-pool.js';

/** y = x + x over so many numbers. */
function twice(length: number): Uint8Array {
  const graph = new Graph();
  const x = graph.input('x', float32(length));
  graph.output('y', graph.add('Add', [x, x], x));
  return encodeModel(graph);
}

const options: SessionOptions = { provider: 'cpu', name: 'twice' };
const create = jest.spyOn(Session, 'create');
beforeEach(() => create.mockClear());
afterAll(() => create.mockRestore());

async function run({ session }: SessionLease, x: number): Promise<number> {
  const binding = session.createBinding();
  const y = new Float32Array(1);
  const values = [Float32Array.of(x), y].map((data) => DeviceValue.fromHost(data, 'float32', [1]));
  binding.bindInput('x', values[0]!);
  binding.bindOutput('y', values[1]!);
  await binding.run();
  for (const value of values) value.dispose();
  return y[0]!;
}

describe('SessionPool', () => {
  it('makes one session for users of an equal model that come one after the other', async () => {
    const pool = new SessionPool(2 ** 20);
    const before = liveHandles();
    for (const x of [1, 2, 3]) {
      const lease = await pool.lend(twice(1), options);
      expect(await run(lease, x)).toBe(2 * x);
      lease.dispose();
      lease.dispose();
      // With the bindings of its user, and not counted while nobody uses it.
      expect(liveHandles()).toBe(before);
    }
    expect(create).toHaveBeenCalledTimes(1);
  });

  it('lends a session to one user at a time', async () => {
    const pool = new SessionPool(2 ** 20);
    const leases = await Promise.all([1, 2].map(() => pool.lend(twice(1), options)));
    expect(leases[0]!.session).not.toBe(leases[1]!.session);
    expect(await Promise.all(leases.map(run))).toEqual([0, 2]);
    for (const lease of leases) lease.dispose();
  });

  it.each<[string, number, Partial<SessionOptions>]>([
    ['model', 2, {}],
    ['name', 1, { name: 'other' }],
    ['number of threads', 1, { threads: 1 }],
    ['optimisation', 1, { optimization: 'basic' }],
  ])('makes another one for another %s', async (_, length, others) => {
    const pool = new SessionPool(2 ** 20);
    (await pool.lend(twice(1), options)).dispose();
    (await pool.lend(twice(length), { ...options, ...others })).dispose();
    expect(create).toHaveBeenCalledTimes(2);
  });

  it('keeps none whose weights were prepared from a file, which may change', async () => {
    const pool = new SessionPool(2 ** 20);
    for (let use = 0; use < 2; use += 1) {
      (await pool.lend(twice(1), { ...options, externalDataFolder: '/' })).dispose();
    }
    expect(create).toHaveBeenCalledTimes(2);
  });

  it('keeps as many as the limit allows, those that were used last, and none that is large', async () => {
    const size = twice(100).byteLength;
    const use = async (pool: SessionPool, length: number) => {
      create.mockClear();
      const lease = await pool.lend(twice(length), options);
      const { session } = lease;
      lease.dispose();
      return { session, isNew: create.mock.calls.length > 0 };
    };
    const pool = new SessionPool(10 * size);
    const oldest = (await use(pool, 100)).session;
    for (let length = 101; length <= 109; length += 1) await use(pool, length);
    expect(oldest.disposed).toBe(false);
    await use(pool, 110);
    expect(oldest.disposed).toBe(true);
    expect((await use(pool, 101)).isNew).toBe(false);
    expect((await use(new SessionPool(1.5 * size), 100)).session.disposed).toBe(true);
  });

  it('says so where a session is used after its lease, and forgets what could not be made', async () => {
    const pool = new SessionPool(2 ** 20);
    const lease = await pool.lend(twice(1), options);
    lease.dispose();
    expect(() => lease.session).toThrow(expect.objectContaining({ code: 'DISPOSED' }));
    const invalid = () => pool.lend(new Uint8Array(3), options);
    await expect(invalid()).rejects.toMatchObject({ code: 'MODEL_INVALID' });
    await expect(invalid()).rejects.toMatchObject({ code: 'MODEL_INVALID' });
  });
});
