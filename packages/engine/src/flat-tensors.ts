import { CHUNKED_UPDATE_MULTIPLE } from './chunked-update.js';
import { createTensor } from './compile.js';
import type { DeviceTensor } from './devices/index.js';
import { sizeOf } from './graph/graph.js';
import { float32, type TensorSpec } from './specs.js';

/** Named float32 tensors of the CPU that lie one after another in long arrays. */
export interface FlatTensors {
  readonly tensors: Readonly<Record<string, DeviceTensor>>;
  /**
   * Their memory: one array, or several where one cannot hold them. Lengths are multiples of
   * {@link CHUNKED_UPDATE_MULTIPLE}, gaps are zero. Equal specs are laid out alike.
   */
  readonly arrays: readonly Float32Array[];
}

/** Elements in a cache line: tensors start on one. */
const ALIGNMENT = 16;

const roundUp = (size: number, multiple: number): number => Math.ceil(size / multiple) * multiple;

/** Elements of an array: every engine has typed arrays of 8 GiB, and ONNX Runtime's parts of them count in 64 bits. */
const LARGEST_ARRAY = 2 ** 31;

/**
 * Tensors of zeros in as few arrays as hold them, so that an optimiser can treat them as one.
 * @param largestArray elements of one array at most; a tensor that is larger has an array of its own.
 */
export function createFlatTensors(
  specs: Readonly<Record<string, TensorSpec>>,
  largestArray = LARGEST_ARRAY,
): FlatTensors {
  const parts = layOut(specs, largestArray).map(({ starts, end }) => {
    const memory = new Float32Array(roundUp(end, CHUNKED_UPDATE_MULTIPLE));
    const tensors = [...starts].map(([name, start]) => {
      const { shape } = specs[name]!;
      const view = memory.subarray(start, start + sizeOf(shape));
      return [name, createTensor(float32(...shape), view)] as const;
    });
    return { memory, tensors };
  });
  return {
    tensors: Object.fromEntries(parts.flatMap(({ tensors }) => tensors)),
    arrays: parts.map(({ memory }) => memory),
  };
}

/** Places in one array. */
interface Layout {
  /** First element by name. */
  readonly starts: Map<string, number>;
  end: number;
}

function layOut(specs: Readonly<Record<string, TensorSpec>>, largestArray: number): Layout[] {
  const layouts: Layout[] = [];
  for (const [name, spec] of Object.entries(specs)) {
    const size = roundUp(sizeOf(spec.shape), ALIGNMENT);
    let layout = layouts.at(-1);
    if (
      layout === undefined ||
      roundUp(layout.end + size, CHUNKED_UPDATE_MULTIPLE) > largestArray
    ) {
      layout = { starts: new Map(), end: 0 };
      layouts.push(layout);
    }
    layout.starts.set(name, layout.end);
    layout.end += size;
  }
  return layouts;
}
