import { readFileSync } from 'node:fs';
import koffi from 'koffi';

const MADV_DONTNEED = 4;
/** Page tables of this process: one entry per mapping, with what lies in it. */
const MAPPINGS = '/proc/self/smaps';

/**
 * Gives memory of this process back that it does not need now: what the C library has kept of freed blocks, and pages of
 * files that are mapped, which stay in the system's cache and come back when they are read. Linux only; elsewhere nothing
 * happens.
 * @param files real paths of the mapped files.
 */
export function releaseResidentMemory(files: ReadonlySet<string>): void {
  const { advise, trim } = systemCalls();
  trim?.(0);
  if (advise === undefined || files.size === 0) return;
  for (const { start, end } of cleanMappings(readFileSync(MAPPINGS, 'utf8'), files)) {
    advise(start, end - start, MADV_DONTNEED);
  }
}

interface Mapping {
  readonly start: bigint;
  readonly end: bigint;
}

const HEADER = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+\s+(.*)$/;

/** Mappings of the files that hold nothing but what is in the file: what was written into a page would be lost. */
export function cleanMappings(text: string, files: ReadonlySet<string>): readonly Mapping[] {
  const found: Mapping[] = [];
  let current: Mapping | undefined;
  for (const line of text.split('\n')) {
    const header = HEADER.exec(line);
    if (header !== null) {
      const [, start, end, path] = header as unknown as [string, string, string, string];
      current = files.has(path)
        ? { start: BigInt(`0x${start}`), end: BigInt(`0x${end}`) }
        : undefined;
    } else if (current !== undefined && line.startsWith('Anonymous:')) {
      if (/\s0 kB$/.test(line)) found.push(current);
    }
  }
  return found;
}

interface SystemCalls {
  readonly advise?: (start: bigint, length: bigint, advice: number) => number;
  /** Only the GNU C library has it. */
  readonly trim?: (pad: number) => number;
}

let calls: SystemCalls | undefined;

function systemCalls(): SystemCalls {
  if (process.platform !== 'linux') return {};
  calls ??= {
    ...named('advise', 'int madvise(void *address, size_t length, int advice)'),
    ...named('trim', 'int malloc_trim(size_t pad)'),
  };
  return calls;
}

/** A function of the C library, where it has it. */
function named(name: keyof SystemCalls, prototype: string): SystemCalls {
  try {
    return { [name]: koffi.load(null).func(prototype) };
  } catch {
    return {};
  }
}
