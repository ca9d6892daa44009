/**
 * WebAssembly's binary format, as far as one function over vectors of four float32 needs it. Thirty instructions of one function do
 * not pay for a compiler of several megabytes among the dependencies.
 * Source: webassembly.github.io/spec/core/binary, with fixed-width SIMD.
 */

import { EngineError } from '../errors.js';

/** What Node has of WebAssembly, and leaves to the types of browsers. */
export interface WasmHost {
  readonly WebAssembly: {
    readonly Module: new (bytes: Uint8Array) => WasmModule;
    readonly Instance: new (
      module: WasmModule,
    ) => {
      readonly exports: {
        readonly memory: { readonly buffer: ArrayBuffer };
        run(bytes: number): void;
      };
    };
  };
}

/** @throws EngineError RUN_FAILED in a process without WebAssembly. */
export function requireWebAssembly(): WasmHost['WebAssembly'] {
  const { WebAssembly } = globalThis as unknown as Partial<WasmHost>;
  if (WebAssembly !== undefined) return WebAssembly;
  throw new EngineError({
    code: 'RUN_FAILED',
    message:
      'Fused update: expected WebAssembly, found none: Node runs with --jitless or --no-expose-wasm.',
    hint: 'Start Node without that option; NODE_OPTIONS may hold it too.',
  });
}

/** A compiled module, which may be sent to threads. */
export type WasmModule = object;

export type Code = readonly number[];

/** Numbers of vector instructions. */
const VECTOR = {
  load: 0x00,
  loadSplat: 0x09,
  store: 0x0b,
  constant: 0x0c,
  shuffle: 0x0d,
  storeLane: 0x5a,
  loadLow: 0x5c,
  narrowToBytes: 0x66,
  ceil: 0x67,
  floor: 0x68,
  narrowToShorts: 0x85,
  widenBytes: 0x89,
  widenShorts: 0xa9,
  abs: 0xe0,
  neg: 0xe1,
  sqrt: 0xe3,
  add: 0xe4,
  sub: 0xe5,
  mul: 0xe6,
  div: 0xe7,
  min: 0xe8,
  max: 0xe9,
  toIntegers: 0xf8,
  fromIntegers: 0xfa,
} as const;

export type VectorInstruction = keyof typeof VECTOR;

/** Lanes of 32 bits. */
const LANES = 4;
const ALIGNED_TO_4 = 2;

/** A number without sign in LEB128. */
function unsigned(value: number): number[] {
  const bytes = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return [...bytes, rest];
}

/** A number of 32 bits with its sign in LEB128. */
function signed(value: number): number[] {
  const bytes = [];
  let rest = value | 0;
  while (rest < -0x40 || rest > 0x3f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>= 7;
  }
  return [...bytes, rest & 0x7f];
}

const vector = (instruction: VectorInstruction, ...operands: Code): Code => [
  0xfd,
  ...unsigned(VECTOR[instruction]),
  ...operands,
];

const address = (offset: number): Code => [ALIGNED_TO_4, ...unsigned(offset)];

/** → vector of zeros */
const ZEROS: Code = vector('constant', ...new Array<number>(16).fill(0));

/** Instructions. What they take from the stack and leave there is said in the order of the stack. */
export const wasm = {
  getLocal: (index: number): Code => [0x20, ...unsigned(index)],
  /** value → */
  setLocal: (index: number): Code => [0x21, ...unsigned(index)],
  /** value → value */
  teeLocal: (index: number): Code => [0x22, ...unsigned(index)],
  /** → i32 */
  integer: (value: number): Code => [0x41, ...signed(value)],
  /** i32, i32 → i32 */
  addIntegers: [0x6a] as Code,
  /** i32, places → i32 */
  shiftRight: [0x76] as Code,
  /** i32, i32 → whether the first is smaller, without signs */
  isSmaller: [0x49] as Code,
  /** Runs the body again as long as it leaves something else than 0. */
  repeat: (body: Code): Code => [0x03, 0x40, ...body, 0x0d, 0x00, 0x0b],
  /** vectors → vector */
  apply: (instruction: VectorInstruction): Code => vector(instruction),
  /** → vector of equal numbers */
  constant: (value: number): Code => {
    const bytes = new Uint8Array(Float32Array.from({ length: LANES }, () => value).buffer);
    return vector('constant', ...bytes);
  },
  /** address → four numbers */
  load: (offset: number): Code => vector('load', ...address(offset)),
  /** address → one number, four times */
  loadSplat: (offset: number): Code => vector('loadSplat', ...address(offset)),
  /** address, vector → */
  store: (offset: number): Code => vector('store', ...address(offset)),
  /** address, vector → ; its first number alone */
  storeFirst: (offset: number): Code => vector('storeLane', ...address(offset), 0),
  /** address → four bytes as numbers */
  loadBytes: (offset: number): Code => [
    ...vector('loadLow', ...address(offset)),
    ...vector('widenBytes'),
    ...vector('widenShorts'),
    ...vector('fromIntegers'),
  ],
  /** vector → the whole parts of its numbers as bytes, in the first lane; for {@link wasm.storeFirst} */
  toBytes: [
    ...vector('toIntegers'),
    // Each takes two vectors; the second half is not used.
    ...ZEROS,
    ...vector('narrowToShorts'),
    ...ZEROS,
    ...vector('narrowToBytes'),
  ] as Code,
  /** vector, vector → vector; lanes of 32 bits: 0 to 3 of the first, 4 to 7 of the second */
  shuffle: (lanes: readonly number[]): Code =>
    vector('shuffle', ...lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte))),
};

const I32 = 0x7f;
const V128 = 0x7b;
const PAGE_BYTES = 65536;

const section = (id: number, content: Code): Code => [id, ...unsigned(content.length), ...content];
const list = (items: readonly Code[]): Code => [...unsigned(items.length), ...items.flat()];
const text = (value: string): Code => {
  const bytes = [...Buffer.from(value)];
  return [...unsigned(bytes.length), ...bytes];
};

export interface WasmFunction {
  /** Local variables after the one parameter, which is an integer and has number 0: integers, then vectors. */
  readonly integers: number;
  readonly vectors: number;
  readonly body: Code;
}

/** A module with memory of its own, exported as `memory`, and one function of one integer, exported as `run`. */
export function encodeModule({ integers, vectors, body }: WasmFunction, bytes: number): Uint8Array {
  const pages = unsigned(Math.ceil(bytes / PAGE_BYTES));
  const locals = list([
    [...unsigned(integers), I32],
    [...unsigned(vectors), V128],
  ]);
  const code = [...locals, ...body, 0x0b];
  const magicAndVersion = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  return Uint8Array.from([
    ...magicAndVersion,
    ...section(1, list([[0x60, 0x01, I32, 0x00]])),
    ...section(3, list([[0x00]])),
    ...section(5, list([[0x01, ...pages, ...pages]])),
    ...section(
      7,
      list([
        [...text('memory'), 0x02, 0x00],
        [...text('run'), 0x00, 0x00],
      ]),
    ),
    ...section(10, list([[...unsigned(code.length), ...code]])),
  ]);
}
