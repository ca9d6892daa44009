import { environment } from '../../executor/environment.js';
import { DeviceValue, sessionPool } from '../../executor/index.js';
import type { ElementType } from '../../graph/graph.js';
import { type Graph, sizeOf } from '../../graph/graph.js';
import { stagesOf } from '../../graph/stages.js';
import { encodeModel } from '../../onnx/encode.js';
import { lendStages, type ProgramLease } from '../staged-session.js';
import { piecesAtOnce, threadsOf } from '../threads.js';

/** A graph that is ready to run on numbers of its own. */
export interface PreparedGraph {
  readonly run: () => Promise<void>;
  /** That work or spin all the time while it runs. */
  readonly threads: number;
  /** What the last run gave, output by output. */
  readonly results: readonly Float32Array[];
  dispose(): void;
}

/** @param rests as in a trial. @throws EngineError where this build of ONNX Runtime refuses the graph. */
export async function prepareGraph(graph: Graph, rests = false): Promise<PreparedGraph> {
  const lease = await lend(graph, rests);
  const binding = lease.session.createBinding();
  for (const { name, shape, dtype } of graph.inputs) {
    binding.bindInput(name, DeviceValue.fromHost(numbers(shape, dtype), dtype, shape));
  }
  const results = graph.outputs.map(({ value }) => {
    const result = new Float32Array(sizeOf(value.shape));
    binding.bindOutput(value.name, DeviceValue.fromHost(result, 'float32', value.shape));
    return result;
  });
  const threads = graph.threading === 'shared' ? environment().threads : 1;
  return { run: () => binding.run(), threads, results, dispose: () => lease.dispose() };
}

function lend(graph: Graph, rests: boolean): Promise<ProgramLease> {
  const name = 'kernel trial';
  return graph.threading === 'in-pieces'
    ? lendStages(stagesOf(graph, piecesAtOnce()), { name })
    : sessionPool.lend(encodeModel(graph), {
        provider: 'cpu',
        name,
        ...threadsOf(graph, { rests }),
      });
}

/** Numbers of both signs; a prime count of them, so that no block meets the same ones as the next. */
const PERIOD = Float32Array.from({ length: 4093 }, (_, i) => Math.sin(1 + 0.7 * i) / 8);
/** Bits of float32 that bfloat16 drops. */
const DROPPED_BITS = 16;
/** The same numbers in bfloat16. */
const BFLOAT16_PERIOD = Uint16Array.from(
  new Uint32Array(PERIOD.buffer),
  (bits) => bits >>> DROPPED_BITS,
);

function numbers(shape: readonly number[], dtype: ElementType): Float32Array | Uint16Array {
  if (dtype === 'float32') return repeated(PERIOD, new Float32Array(sizeOf(shape)));
  if (dtype === 'bfloat16') return repeated(BFLOAT16_PERIOD, new Uint16Array(sizeOf(shape)));
  throw new Error(`a kernel trial takes float32 and bfloat16, not ${dtype}`);
}

/** Fills an array with repetitions of a period. */
function repeated<Numbers extends Float32Array | Uint16Array>(
  period: Numbers,
  data: Numbers,
): Numbers {
  for (let start = 0; start < data.length; start += period.length) {
    data.set(period.subarray(0, Math.min(period.length, data.length - start)), start);
  }
  return data;
}

/** Largest difference that other orders of summation explain, in units of the largest expected number. */
const TOLERANCE = 1e-4;

/** Whether two graphs gave the same numbers, all finite and not all zero. */
export function areEqual(
  found: readonly Float32Array[],
  expected: readonly Float32Array[],
): boolean {
  return expected.every((values, output) => {
    const others = found[output]!;
    let scale = 0;
    let worst = 0;
    for (let i = 0; i < values.length; i += 1) {
      scale = Math.max(scale, Math.abs(values[i]!));
      worst = Math.max(worst, Math.abs(values[i]! - others[i]!));
    }
    return Number.isFinite(scale) && scale > 0 && worst <= TOLERANCE * scale;
  });
}
