import { DeviceValue } from '../executor/index.js';
import { type RecordedBinding, RecordedRuns } from './recorded-runs.js';

const value = (...numbers: number[]) =>
  DeviceValue.fromHost(Float32Array.from(numbers), 'float32', [numbers.length]);

/** Adds x to its state as ONNX Runtime does where it records: twice before, and once more what it has recorded. */
function adding(state: DeviceValue, x: DeviceValue, refuses = false) {
  const recorded = new Set<number>();
  const graphs: number[] = [];
  const run = async ({ graph }: { graph: number }) => {
    graphs.push(graph);
    const times = graph < 0 || recorded.has(graph) ? 1 : 3;
    const sums = state.host as Float32Array;
    for (let i = 0; i < times; i += 1) sums[0]! += (x.host as Float32Array)[0]!;
    if (refuses && times > 1) throw new Error('not permitted when the stream is capturing');
    recorded.add(graph);
  };
  const values = { inputs: [state, x], outputs: [state] };
  return { binding: { values, run } as RecordedBinding, graphs };
}

describe('recorded runs', () => {
  it('change the state once each, however often recording runs them', async () => {
    const [state, x] = [value(0), value(1)];
    const { binding, graphs } = adding(state, x);
    const runs = new RecordedRuns('cpu', 'step');
    for (let step = 1; step <= 5; step += 1) {
      await runs.run(binding);
      expect(state.host).toEqual(Float32Array.of(step));
    }
    // Node by node, recorded and replayed, replayed.
    expect(graphs).toEqual([-1, 1, 1, 1, 1, 1]);
    expect(runs.counts).toEqual({ recorded: 1, replayed: 4, plain: 1 });
  });

  it('belong to the values that they were recorded with', async () => {
    const runs = new RecordedRuns('cpu', 'step');
    const [first, second] = [adding(value(0), value(1)), adding(value(0), value(1))];
    for (const { binding } of [first, second, first, second, first]) await runs.run(binding);
    expect(first.graphs).toEqual([-1, 1, 1, 1]);
    expect(second.graphs).toEqual([-1, 2, 2]);
  });

  it('leave the state as it was where recording fails, and say which program it was', async () => {
    const state = value(0);
    const { binding } = adding(state, value(1), true);
    const runs = new RecordedRuns('cpu', 'step');
    await runs.run(binding);
    await expect(runs.run(binding)).rejects.toMatchObject({
      code: 'RUN_FAILED',
      message: expect.stringMatching(/^step: .* not permitted when the stream is capturing/),
    });
    expect(state.host).toEqual(Float32Array.of(1));
  });
});
