/** Reproducible random numbers: equal seeds give equal sequences on every machine and Node version. */
export interface Random {
  /** Uniform in [low, high), 53 bits. Defaults to [0, 1). */
  uniform(low?: number, high?: number): number;
  /** Normal. Defaults to mean 0, standard deviation 1. */
  normal(mean?: number, deviation?: number): number;
  /** Uniform integer in [0, limit). */
  integer(limit: number): number;
  /** One of the items. */
  pick<Item>(items: readonly Item[]): Item;
  /** A shuffled copy. */
  shuffle<Item>(items: readonly Item[]): Item[];
  /** Shuffles numbers in their place, into the order that `shuffle` gives. */
  shuffleNumbers(numbers: Uint32Array): Uint32Array;
  /** (length) float32 normal values with mean 0. */
  normals(length: number, deviation?: number): Float32Array;
}

/** splitmix32: spreads a seed over the generator's state, so that neighbouring seeds give unrelated sequences. */
const seedWords = (seed: number): Uint32Array => {
  const words = new Uint32Array(4);
  // The upper half keeps seeds beyond 2³² apart.
  let state = (seed ^ Math.imul(Math.floor(seed / 2 ** 32), 0x85ebca6b)) >>> 0;
  for (let i = 0; i < words.length; i++) {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    words[i] = z ^ (z >>> 15);
  }
  return words;
};

const rotateLeft = (value: number, bits: number): number =>
  (value << bits) | (value >>> (32 - bits));

/** xoshiro128**: 32 uniform bits a call. Source: Blackman and Vigna, "Scrambled linear pseudorandom number generators". */
const makeGenerator = (seed: number): (() => number) => {
  const state = seedWords(seed);
  return () => {
    const result = Math.imul(rotateLeft(Math.imul(state[1]!, 5), 7), 9) >>> 0;
    const shifted = state[1]! << 9;
    state[2]! ^= state[0]!;
    state[3]! ^= state[1]!;
    state[1]! ^= state[2]!;
    state[0]! ^= state[3]!;
    state[2]! ^= shifted;
    state[3] = rotateLeft(state[3]!, 11);
    return result;
  };
};

/** Random numbers from an integer seed. */
export const createRandom = (seed: number): Random => {
  const next = makeGenerator(seed);
  const uniform = (low = 0, high = 1): number => {
    const bits = (next() >>> 5) * 2 ** 26 + (next() >>> 6);
    return low + (high - low) * (bits / 2 ** 53);
  };
  // Box–Muller; 1 − u keeps the logarithm away from zero.
  const normal = (mean = 0, deviation = 1): number =>
    mean + deviation * Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const integer = (limit: number): number => Math.floor(uniform() * limit);
  const shuffleInPlace = <Items extends { readonly length: number; [index: number]: unknown }>(
    items: Items,
  ): Items => {
    for (let i = items.length - 1; i > 0; i--) {
      const j = integer(i + 1);
      [items[i], items[j]] = [items[j], items[i]];
    }
    return items;
  };
  return {
    uniform,
    normal,
    integer,
    shuffle: (items) => shuffleInPlace([...items]),
    shuffleNumbers: (numbers) => shuffleInPlace(numbers),
    pick: (items) => items[integer(items.length)]!,
    normals: (length, deviation = 1) => Float32Array.from({ length }, () => normal(0, deviation)),
  };
};
