import type { KernelLayout } from './kernel.js';
import type { WasmHost, WasmModule } from './wasm.js';

/** Arrays of an update, in the order of its options: float32, or bytes. */
export type UpdatedArray = Float32Array | Uint8Array;

/** Some elements of an update, few enough that a thread may take one such piece after another. */
export interface Piece {
  readonly arrays: readonly UpdatedArray[];
  /** Elements of the update. */
  readonly from: number;
  readonly to: number;
}

/** A kernel with memory of its own. */
export interface PieceWorker {
  /** Works on one piece. */
  apply(piece: Piece, scalars: Float32Array): void;
}

/** Starts a kernel. It is handed to threads as text, so it uses nothing from outside of itself. */
export function startKernel(module: WasmModule, layout: KernelLayout): PieceWorker {
  const { Instance } = (globalThis as unknown as WasmHost).WebAssembly;
  const { memory, run } = new Instance(module).exports;
  const scalarPlaces = new Float32Array(memory.buffer, 0, layout.scalars);
  const at = (type: 'float32' | 'uint8', offset: number, length: number) =>
    type === 'uint8'
      ? new Uint8Array(memory.buffer, offset, length)
      : new Float32Array(memory.buffer, offset, length);
  const places = layout.arrays.map(({ type, elementsPer, input, output }) => {
    const length = layout.chunk / elementsPer;
    const changed = output === undefined ? undefined : at(type, output, length);
    return { elementsPer, input: at(type, input, length), changed };
  });
  const applyChunk = (arrays: Piece['arrays'], from: number, count: number) => {
    for (let i = 0; i < places.length; i += 1) {
      const { elementsPer, input } = places[i]!;
      input.set(arrays[i]!.subarray(from / elementsPer, (from + count) / elementsPer));
    }
    run(count * Float32Array.BYTES_PER_ELEMENT);
    for (let i = 0; i < places.length; i += 1) {
      const { elementsPer, changed } = places[i]!;
      if (changed === undefined) continue;
      const part = count === layout.chunk ? changed : changed.subarray(0, count / elementsPer);
      arrays[i]!.set(part, from / elementsPer);
    }
  };
  return {
    apply({ arrays, from, to }, scalars) {
      scalarPlaces.set(scalars);
      for (let start = from; start < to; start += layout.chunk)
        applyChunk(arrays, start, Math.min(layout.chunk, to - start));
    },
  };
}
