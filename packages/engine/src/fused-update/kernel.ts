import {
  type Extent,
  type FusedUpdateOptions,
  type Quantity,
  UPDATE_BLOCK,
  type UpdatePlan,
} from './plan.js';
import { planSweeps, type Sweep } from './sweeps.js';
import { type Code, encodeModule, requireWebAssembly, type WasmModule, wasm } from './wasm.js';

/**
 * Elements that are worked on at a time: copied into the memory of the kernel, changed there and copied back. Those of all arrays
 * together stay in the second cache.
 */
const CHUNK = 8192;

/** Where a kernel finds a chunk of an array, and where it leaves the changed one: offsets in bytes. */
export interface ArrayPlace {
  readonly type: 'float32' | 'uint8';
  /** Elements of the update for each element of this array. */
  readonly elementsPer: number;
  readonly input: number;
  readonly output?: number;
}

/** How to call a kernel. */
export interface KernelLayout {
  readonly chunk: number;
  /** How many scalars lie at the start of the memory, in the order of the options. */
  readonly scalars: number;
  /** In the order of the options. */
  readonly arrays: readonly ArrayPlace[];
}

export interface UpdateKernel {
  readonly module: WasmModule;
  readonly layout: KernelLayout;
}

/** Compiles a plan into one loop over memory that reads and writes every element once. */
export function compileKernel(plan: UpdatePlan, options: FusedUpdateOptions): UpdateKernel {
  const memory = new Memory();
  const layout = layOut(memory, options);
  const writer = new KernelWriter(options, layout, memory);
  const body = writer.write(plan);
  const { vectors } = writer;
  const bytes = encodeModule({ integers: INTEGERS, vectors, body }, memory.bytes);
  const { Module } = requireWebAssembly();
  return { module: new Module(bytes), layout };
}

/** Bytes of a vector, of a number, and of a block of numbers. */
const VECTOR = 16;
const NUMBER = 4;
const BLOCK = UPDATE_BLOCK * NUMBER;

/** Addresses of a memory, one after another. */
class Memory {
  bytes = 0;

  take(bytes: number): number {
    const start = this.bytes;
    // Arrays of equal length that lie three cache lines apart begin in different sets of the cache.
    this.bytes += Math.ceil(bytes / 64) * 64 + 192;
    return start;
  }
}

function layOut(memory: Memory, options: FusedUpdateOptions): KernelLayout {
  memory.take(options.scalars.length * NUMBER);
  const arrays = options.arrays.map((name): ArrayPlace => {
    const type = options.bytes?.includes(name) ? 'uint8' : 'float32';
    const elementsPer = options.perBlock?.includes(name) ? UPDATE_BLOCK : 1;
    const bytes = (CHUNK / elementsPer) * (type === 'uint8' ? 1 : NUMBER);
    const input = memory.take(bytes);
    const isChanged = options.changed.includes(name);
    return { type, elementsPer, input, ...(isChanged && { output: memory.take(bytes) }) };
  });
  return { chunk: CHUNK, scalars: options.scalars.length, arrays };
}

/**
 * Local variables. Places are offsets in bytes of float32: the end of the chunk, which is the parameter, the start of the block,
 * and the element, from the start of the block and from that of the chunk.
 */
const END = 0;
const BLOCK_START = 1;
const OFFSET = 2;
const PLACE = 3;
/** The same element in an array of bytes; the block in arrays with a number for each. */
const BYTE_PLACE = 4;
const BLOCK_PLACE = 5;
const INTEGERS = 5;
/** Vectors follow. */
const FIRST_VECTOR = 1 + INTEGERS;

/** Writes what is computed once in a run, then for each block, and inside of that for each element in one or several sweeps. */
class KernelWriter {
  readonly #options: FusedUpdateOptions;
  readonly #layout: KernelLayout;
  readonly #memory: Memory;
  readonly #code: Record<Extent, number[]> = { run: [], block: [], element: [] };
  /** Variables of the quantities that are known at this place of the code. */
  readonly #variables = new Map<Quantity, number>();
  /** Addresses of elements that an earlier sweep has kept. */
  readonly #kept = new Map<Quantity, number>();
  #vectors = 0;

  constructor(options: FusedUpdateOptions, layout: KernelLayout, memory: Memory) {
    this.#options = options;
    this.#layout = layout;
    this.#memory = memory;
  }

  /** Variables that hold vectors. */
  get vectors(): number {
    return this.#vectors;
  }

  write(plan: UpdatePlan): Code {
    for (const sweep of planSweeps(plan)) this.#writeSweep(sweep);
    for (const [name, quantity] of plan)
      if (quantity.extent === 'block') this.#store(name, quantity);
    const start = [...wasm.integer(0), ...wasm.setLocal(BLOCK_START)];
    const block = [
      ...blockPlace(),
      ...this.#code.block,
      ...isBefore(BLOCK_START, BLOCK, endOfChunk),
    ];
    return [...this.#code.run, ...start, ...wasm.repeat(block)];
  }

  /** One loop over the elements of a block. What it needs of the block is defined before it. */
  #writeSweep({ results, largest, keeps }: Sweep): void {
    if (results.length === 0 && largest.length === 0) return;
    const most = largest.map((quantity) => this.#startLargest(quantity));
    for (const [name, quantity] of results) this.#store(name, quantity);
    for (const each of most) each.add();
    const kept = keeps.map((quantity) => [quantity, this.#keep(quantity)] as const);
    const loop = [
      ...elementPlaces(),
      ...this.#code.element,
      ...isBefore(OFFSET, VECTOR, endOfBlock),
    ];
    this.#add('block', wasm.integer(0), wasm.setLocal(OFFSET), wasm.repeat(loop));
    this.#code.element = [];
    for (const quantity of this.#variables.keys())
      if (quantity.extent === 'element') this.#variables.delete(quantity);
    for (const [quantity, address] of kept) this.#kept.set(quantity, address);
    for (const each of most) each.end();
  }

  /** The largest element of a block: four candidates, which become one when the sweep is over. */
  #startLargest(quantity: Quantity) {
    const variable = this.#newVariable();
    this.#add('block', wasm.constant(Number.NEGATIVE_INFINITY), wasm.setLocal(variable));
    const take = (candidates: Code): Code => [
      ...[...wasm.getLocal(variable), ...candidates],
      ...[...wasm.apply('max'), ...wasm.setLocal(variable)],
    ];
    const add = () => {
      const [of] = (quantity.source as { readonly of: readonly Quantity[] }).of;
      this.#add('element', take(this.#get(of!)));
    };
    const twice = [...wasm.getLocal(variable), ...wasm.getLocal(variable)];
    const turned = (lanes: readonly number[]): Code => [...twice, ...wasm.shuffle(lanes)];
    const end = () => {
      this.#add('block', take(turned([2, 3, 0, 1])), take(turned([1, 0, 3, 2])));
      this.#variables.set(quantity, variable);
    };
    return { add, end };
  }

  #keep(quantity: Quantity): number {
    const address = this.#memory.take(BLOCK);
    this.#add('element', wasm.getLocal(OFFSET), this.#get(quantity), wasm.store(address));
    return address;
  }

  #store(name: string, quantity: Quantity): void {
    const { type, elementsPer, output } = this.#placeOf(name);
    const value = this.#get(quantity);
    if (elementsPer > 1)
      this.#add('block', wasm.getLocal(BLOCK_PLACE), value, wasm.storeFirst(output!));
    else if (type === 'uint8')
      this.#add(
        'element',
        ...[wasm.getLocal(BYTE_PLACE), value, wasm.toBytes, wasm.storeFirst(output!)],
      );
    else this.#add('element', wasm.getLocal(PLACE), value, wasm.store(output!));
  }

  /** Code that leaves a quantity on the stack. Where it is not known yet, it is computed as far outside of the loops as it can be. */
  #get(quantity: Quantity): Code {
    let variable = this.#variables.get(quantity);
    if (variable === undefined) {
      const value = this.#valueOf(quantity);
      variable = this.#newVariable();
      this.#add(quantity.extent, value, wasm.setLocal(variable));
      this.#variables.set(quantity, variable);
    }
    return wasm.getLocal(variable);
  }

  #valueOf(quantity: Quantity): Code {
    const { source, extent } = quantity;
    const kept = this.#kept.get(quantity);
    if (kept !== undefined) return [...wasm.getLocal(OFFSET), ...wasm.load(kept)];
    switch (source.kind) {
      case 'constant':
        return wasm.constant(source.value);
      case 'scalar': {
        const address = this.#options.scalars.indexOf(source.name) * NUMBER;
        return [...wasm.integer(0), ...wasm.loadSplat(address)];
      }
      case 'array': {
        const { type, input } = this.#placeOf(source.name);
        if (extent === 'block') return [...wasm.getLocal(BLOCK_PLACE), ...wasm.loadSplat(input)];
        if (type === 'uint8') return [...wasm.getLocal(BYTE_PLACE), ...wasm.loadBytes(input)];
        return [...wasm.getLocal(PLACE), ...wasm.load(input)];
      }
      case 'operator':
        return [
          ...source.of.flatMap((operand) => this.#get(operand)),
          ...wasm.apply(source.operator),
        ];
      case 'largest':
        throw new Error('the sweep before this one defines it');
    }
  }

  #placeOf(name: string): ArrayPlace {
    return this.#layout.arrays[this.#options.arrays.indexOf(name)]!;
  }

  #newVariable(): number {
    this.#vectors += 1;
    return FIRST_VECTOR + this.#vectors - 1;
  }

  #add(extent: Extent, ...code: readonly Code[]): void {
    for (const part of code) this.#code[extent].push(...part);
  }
}

const blockPlace = (): Code => [
  ...wasm.getLocal(BLOCK_START),
  ...wasm.integer(Math.log2(UPDATE_BLOCK)),
  ...wasm.shiftRight,
  ...wasm.setLocal(BLOCK_PLACE),
];

const elementPlaces = (): Code => [
  ...wasm.getLocal(BLOCK_START),
  ...wasm.getLocal(OFFSET),
  ...wasm.addIntegers,
  ...wasm.teeLocal(PLACE),
  ...wasm.integer(Math.log2(NUMBER)),
  ...wasm.shiftRight,
  ...wasm.setLocal(BYTE_PLACE),
];

const endOfChunk = wasm.getLocal(END);
const endOfBlock = wasm.integer(BLOCK);

/** Adds to a variable; leaves whether it is still smaller than the end. */
const isBefore = (variable: number, step: number, end: Code): Code => [
  ...wasm.getLocal(variable),
  ...wasm.integer(step),
  ...wasm.addIntegers,
  ...wasm.teeLocal(variable),
  ...end,
  ...wasm.isSmaller,
];
