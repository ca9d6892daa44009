/** Running graphs as they are written, without the choice of a processor. */

import { api, type Pointer } from '../executor/api.js';
import { environment } from '../executor/environment.js';
import { allocateHost, DeviceValue, Session } from '../executor/index.js';
import type { OptimizationLevel } from '../executor/session.js';
import { call, create, type Failure } from '../executor/status.js';
import { alwaysBlocked } from '../graph/choice.js';
import { type Graph, sizeOf, type Value } from '../graph/graph.js';
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

/**
 * Bytes of the largest piece of memory that a graph has allocated after two runs on zeros: the block that the second one works in.
 * @param disabledOptimizers of ONNX Runtime.
 */
export async function allocatedBlock(
  graph: Graph,
  optimization: OptimizationLevel = 'disabled',
  disabledOptimizers: readonly string[] = [],
): Promise<number> {
  const session = await Session.create(encodeModel(graph), {
    ...{ provider: 'cpu', optimization, disabledOptimizers },
    // Statistics of this session alone.
    extra: { 'session.use_env_allocators': '0' },
  });
  const binding = session.createBinding();
  const zeros = ({ dtype, shape }: Value) =>
    DeviceValue.fromHost(allocateHost(dtype, sizeOf(shape)), dtype, shape);
  for (const input of graph.inputs) binding.bindInput(input.name, zeros(input));
  for (const { name, value } of graph.outputs) binding.bindOutput(name, zeros(value));
  await binding.run();
  await binding.run();
  const bytes = largestAllocation(session.pointer);
  session.dispose();
  return bytes;
}

function largestAllocation(session: Pointer): number {
  const failure: Failure = { code: 'RUN_FAILED', doing: 'reading statistics', hint: '' };
  const { cpuMemory } = environment();
  const allocator = create(failure, (out) =>
    call('CreateAllocator', failure, session, cpuMemory, out),
  );
  const stats = create(failure, (out) => call('AllocatorGetStats', failure, allocator, out));
  try {
    return Number(api().GetKeyValue(stats, 'MaxAllocSize'));
  } finally {
    api().ReleaseKeyValuePairs(stats);
  }
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
