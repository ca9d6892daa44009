import { Graph } from '../graph/graph.js';
import { encodeModel } from '../onnx/encode.js';
import { DeviceValue, Session } from './index.js';

/** y = −(−x) of 8 values. */
function twice(): Uint8Array {
  const graph = new Graph();
  const type = { shape: [8], dtype: 'float32' } as const;
  graph.output('y', graph.add('Neg', [graph.add('Neg', [graph.input('x', type)], type)], type));
  return encodeModel(graph);
}

async function run(session: Session): Promise<number> {
  const binding = session.createBinding();
  binding.bindInput('x', DeviceValue.fromHost(new Float32Array(8).fill(3), 'float32', [8]));
  const y = new Float32Array(8);
  binding.bindOutput('y', DeviceValue.fromHost(y, 'float32', [8]));
  await binding.run();
  return y[0]!;
}

describe('the arena of the CPU', () => {
  it('becomes wide for a program that needs it, and serves those that were there', async () => {
    const create = (workingBytes: number) =>
      Session.create(twice(), { provider: 'cpu', workingBytes });
    const early = await create(0);
    expect(await run(early)).toBe(3);
    const large = await create(2 ** 30);
    const late = await create(0);
    expect([await run(large), await run(early), await run(late)]).toEqual([3, 3, 3]);
    for (const session of [early, large, late]) session.dispose();
  });
});
