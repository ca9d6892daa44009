import { readFileSync } from 'node:fs';
import koffi from 'koffi';

const MADV_DONTNEED = 4;
/** Mappings of this process, and the same with what lies in each: that walks all page tables, tens of milliseconds. */
const MAPPINGS = '/proc/self/maps';
const CONTENTS = '/proc/self/smaps';

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
  for (const { start, end } of knownClean(files)) advise(start, end - start, MADV_DONTNEED);
}

/**
 * Whether a mapping was clean after the first run that used it, by its line in the list. Runs are alike: what did not write
 * into weights then never will.
 */
const verdicts = new Map<string, boolean>();

function knownClean(files: ReadonlySet<string>): readonly Mapping[] {
  const lines = readFileSync(MAPPINGS, 'utf8').split('\n');
  forgetAllBut(new Set(lines));
  const mappings = lines.flatMap((line) => mappingOf(line, files) ?? []);
  const fresh = mappings.filter(({ line }) => !verdicts.has(line));
  if (fresh.length > 0) {
    const clean = cleanMappings(readFileSync(CONTENTS, 'utf8'), files);
    const cleanLines = new Set(clean.map(({ line }) => line));
    for (const { line } of fresh) verdicts.set(line, cleanLines.has(line));
  }
  return mappings.filter(({ line }) => verdicts.get(line));
}

function forgetAllBut(lines: ReadonlySet<string>): void {
  for (const line of verdicts.keys()) if (!lines.has(line)) verdicts.delete(line);
}

interface Mapping {
  readonly start: bigint;
  readonly end: bigint;
  /** Its line in the list: range, access, place in the file, and file. */
  readonly line: string;
}

const HEADER = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+\s+(.*)$/;

/** The mapping that a line of either listing begins, if it is one of the files. */
function mappingOf(line: string, files: ReadonlySet<string>): Mapping | undefined {
  const header = HEADER.exec(line);
  if (header === null || !files.has(header[3]!)) return undefined;
  return { start: BigInt(`0x${header[1]}`), end: BigInt(`0x${header[2]}`), line };
}

/** Mappings of the files that hold nothing but what is in the file: what was written into a page would be lost. */
export function cleanMappings(text: string, files: ReadonlySet<string>): readonly Mapping[] {
  const found: Mapping[] = [];
  let current: Mapping | undefined;
  for (const line of text.split('\n')) {
    if (HEADER.test(line)) current = mappingOf(line, files);
    else if (current !== undefined && line.startsWith('Anonymous:')) {
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
