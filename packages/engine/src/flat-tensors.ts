import { BLOCKED_UPDATE_MULTIPLE } from './blocked-update.js';
import { createTensor } from './compile.js';
import type { DeviceTensor } from './devices/index.js';
import { sizeOf } from './graph/graph.js';
import { float32, type TensorSpec } from './specs.js';

/** Named float32 tensors of the CPU that lie one after another in one array. */
export interface FlatTensors {
  readonly tensors: Readonly<Record<string, DeviceTensor>>;
  /** Their memory; its length is a multiple of {@link BLOCKED_UPDATE_MULTIPLE}, gaps are zero. */
  readonly memory: Float32Array;
}

/** Elements in a cache line: tensors start on one. */
const ALIGNMENT = 16;

const roundUp = (size: number, multiple: number): number => Math.ceil(size / multiple) * multiple;

/** Tensors of zeros in one array, so that an optimiser can treat them as one. */
export function createFlatTensors(specs: Readonly<Record<string, TensorSpec>>): FlatTensors {
  const starts = new Map<string, number>();
  let end = 0;
  for (const [name, spec] of Object.entries(specs)) {
    starts.set(name, end);
    end += roundUp(sizeOf(spec.shape), ALIGNMENT);
  }
  const memory = new Float32Array(roundUp(end, BLOCKED_UPDATE_MULTIPLE));
  const tensors = Object.entries(specs).map(([name, spec]) => {
    const start = starts.get(name)!;
    const view = memory.subarray(start, start + sizeOf(spec.shape));
    return [name, createTensor(float32(...spec.shape), view)];
  });
  return { tensors: Object.fromEntries(tensors), memory };
}
