/** Running graphs as they are written, without the choice of a processor. */
import { DeviceValue, Session } from '../executor/index.js';
import { alwaysBlocked } from '../graph/choice.js';
import { type Graph, sizeOf } from '../graph/graph.js';
import { encodeModel } from '../onnx/encode.js';

/** @param data by name of the graph's inputs. @returns its outputs in order. */
export async function runGraph(
  graph: Graph,
  data: Record<string, Float32Array>,
): Promise<Float32Array[]> {
  const session = await Session.create(encodeModel(graph), { provider: 'cpu' });
  const binding = session.createBinding();
  for (const { name, shape } of graph.inputs) {
    binding.bindInput(name, DeviceValue.fromHost(data[name]!, 'float32', shape));
  }
  const results = graph.outputs.map(({ value }) => {
    const result = new Float32Array(sizeOf(value.shape));
    binding.bindOutput(value.name, DeviceValue.fromHost(result, 'float32', value.shape));
    return result;
  });
  await binding.run();
  session.dispose();
  return results;
}

/** Largest difference, in units of the largest expected value. */
export function worstOf(found: Float32Array, expected: Float32Array): number {
  const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - found[i]!)), 0);
  return worst / scale;
}

/** Plainly where this processor has no such layout. */
export const inLayout = (block: number | undefined) =>
  block === undefined ? undefined : alwaysBlocked(block);
