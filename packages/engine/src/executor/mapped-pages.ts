import { readFileSync } from 'node:fs';
import koffi from 'koffi';

const MADV_DONTNEED = 4;
/** Page tables of this process: one entry per mapping, with what lies in it. */
const MAPPINGS = '/proc/self/smaps';

/**
 * Takes pages of files that are mapped into this process out of its resident memory. They stay in the system's cache, and
 * come back when they are read. Linux only; elsewhere, or where /proc cannot be read, nothing happens.
 * @param files real paths.
 */
export function releaseMappedPages(files: ReadonlySet<string>): void {
  const advise = memoryAdvice();
  if (advise === undefined) return;
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

type Advise = (start: bigint, length: bigint, advice: number) => number;

let advice: Advise | undefined;

/** The C library's `madvise`. */
function memoryAdvice(): Advise | undefined {
  if (process.platform !== 'linux') return undefined;
  advice ??= koffi.load(null).func('int madvise(void *address, size_t length, int advice)');
  return advice;
}
