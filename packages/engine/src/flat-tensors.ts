import { createTensor } from './compile.js';
import type { DeviceTensor } from './devices/index.js';
import { inHugePages } from './executor/index.js';
import { UPDATE_BLOCK } from './fused-update/index.js';
import { sizeOf } from './graph/graph.js';
import { float32, type TensorSpec } from './specs.js';

/** Named float32 tensors of the CPU that lie one after another in long arrays. */
export interface FlatTensors {
  readonly tensors: Readonly<Record<string, DeviceTensor>>;
  /**
   * Their memory: one array, or several where one cannot hold them. Lengths are multiples of
   * {@link UPDATE_BLOCK}, gaps are zero. Equal specs are laid out alike.
   */
  readonly arrays: readonly Float32Array[];
  /** Where each tensor lies: number of its array, first element, and how many. */
  readonly places: Readonly<Record<string, FlatPlace>>;
}

export interface FlatPlace {
  readonly array: number;
  readonly start: number;
  readonly size: number;
}

/** Elements in a cache line: tensors start on one, or on a larger multiple where they are asked to. */
const ALIGNMENT = 16;

const roundUp = (size: number, multiple: number): number => Math.ceil(size / multiple) * multiple;

/** Elements of an array: every engine has typed arrays of 8 GiB, and ONNX Runtime's parts of them count in 64 bits. */
const LARGEST_ARRAY = 2 ** 31;

/**
 * Tensors of zeros in as few arrays as hold them, so that an optimiser can treat them as one.
 * @param largestArray elements of one array at most; a tensor that is larger has an array of its own.
 * @param alignment elements of which the start of every tensor is a multiple.
 */
export function createFlatTensors(
  specs: Readonly<Record<string, TensorSpec>>,
  largestArray = LARGEST_ARRAY,
  alignment = ALIGNMENT,
): FlatTensors {
  const layouts = layOut(specs, largestArray, alignment);
  const parts = layouts.map(({ starts, end }) => {
    const memory = inHugePages(new Float32Array(roundUp(end, UPDATE_BLOCK)));
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
    places: Object.fromEntries(
      layouts.flatMap(({ starts }, array) =>
        [...starts].map(([name, start]) => {
          const size = sizeOf(specs[name]!.shape);
          return [name, { array, start, size }] as const;
        }),
      ),
    ),
  };
}

/** Places in one array. */
interface Layout {
  /** First element by name. */
  readonly starts: Map<string, number>;
  end: number;
}

function layOut(
  specs: Readonly<Record<string, TensorSpec>>,
  largestArray: number,
  alignment: number,
): Layout[] {
  const layouts: Layout[] = [];
  for (const [name, spec] of Object.entries(specs)) {
    const size = roundUp(sizeOf(spec.shape), alignment);
    let layout = layouts.at(-1);
    if (layout === undefined || roundUp(layout.end + size, UPDATE_BLOCK) > largestArray) {
      layout = { starts: new Map(), end: 0 };
      layouts.push(layout);
    }
    layout.starts.set(name, layout.end);
    layout.end += size;
  }
  return layouts;
}
