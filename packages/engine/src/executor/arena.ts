import { api, type Pointer } from './api.js';
import { hasHugePages, useHugePages } from './huge-pages.js';
import { call, create, type Failure } from './status.js';

/**
 * One range of addresses that programs work in, one after the other: pages that one has touched serve the next, and pages
 * that none has touched cost nothing, but ONNX Runtime writes a thirty-second of the range as a table. It takes at most 2³¹ − 1
 * bytes for the first range; others double.
 */
const settings = (bytes: number) => ({
  arena_extend_strategy: 0,
  initial_chunk_size_bytes: bytes,
  max_power_of_two_extend_bytes: 2 ** 36,
});
const NARROW_BYTES = 2 ** 29;
const NARROW_ARENA = settings(NARROW_BYTES);
const WIDE_ARENA = settings(2 ** 31 - 2 ** 20);
/** Where asking for addresses counts as use of memory, the arena grows by what is asked for. */
const EXACT_ARENA = { arena_extend_strategy: 1 } as const;

/** Share of the narrow range that a program may need: kernels take a little more than a graph says. */
const SHARE = 0.75;

/** Bytes from which on it matters in which pages a program works. */
const LARGE_BYTES = 2 ** 24;

const failure: Failure = {
  code: 'LIBRARY_MISSING',
  doing: 'setting up the memory of ONNX Runtime',
  hint: 'Reinstall onnxruntime-node; report the message if it stays.',
};

/** The arena of the CPU that new sessions share: a narrow one, and a wide one from the first program on that needs it. */
export class SharedArena {
  readonly #environment: Pointer;
  readonly #memory: Pointer;
  #isLast: boolean;

  constructor(environment: Pointer, memory: Pointer) {
    this.#environment = environment;
    this.#memory = memory;
    this.#isLast = process.platform === 'win32';
    this.#register(this.#isLast ? EXACT_ARENA : NARROW_ARENA);
  }

  /** @param bytes that runs of a session to be made need at once. Sessions that are there keep their arena. */
  makeRoom(bytes: number): void {
    if (this.#isLast || bytes <= SHARE * NARROW_BYTES) return;
    call('UnregisterAllocator', failure, this.#environment, this.#memory);
    this.#register(WIDE_ARENA);
    this.#isLast = true;
  }

  /**
   * Has the place where a session is about to work in huge pages. ONNX Runtime tells nobody where that is, but gives so many bytes, and what
   * was given back again when the session runs. @param bytes that the run needs at once.
   */
  prepare(session: Pointer, bytes: number): void {
    if (bytes < LARGE_BYTES || !hasHugePages) return;
    const allocator = create(failure, (out) =>
      call('CreateAllocator', failure, session, this.#memory, out),
    );
    try {
      const place = create(failure, (out) =>
        call('AllocatorAlloc', failure, allocator, bytes, out),
      );
      useHugePages(place, bytes);
      call('AllocatorFree', failure, allocator, place);
    } catch {
      // Whether there is room at all is for the run to say.
    } finally {
      api().ReleaseAllocator(allocator);
    }
  }

  #register(entries: Readonly<Record<string, number>>): void {
    const keys = Object.keys(entries);
    const values = BigUint64Array.from(Object.values(entries), BigInt);
    const arena = create(failure, (out) =>
      call('CreateArenaCfgV2', failure, keys, values, keys.length, out),
    );
    try {
      call('CreateAndRegisterAllocator', failure, this.#environment, this.#memory, arena);
    } finally {
      api().ReleaseArenaCfg(arena);
    }
  }
}
