import koffi from 'koffi';
import type { Pointer } from './api.js';
import { loadForeign } from './library.js';

type Advise = (address: Pointer, bytes: bigint, advice: number) => number;

/** `MADV_HUGEPAGE` of Linux. */
const HUGE_PAGES = 14;
const PAGE_BYTES = 2n ** 21n;

/** Whether the system can be asked at all. */
export const hasHugePages = process.platform === 'linux';

let advise: Advise | undefined;

/**
 * Asks Linux to hold memory that is not yet written in pages of 2 MiB: products walk along rows that lie kilobytes apart, and with pages of
 * 4 KiB nearly every row needs a look at the page table. Whole pages inside of the range alone are meant, so that it takes no more memory.
 * Elsewhere, and where the system has none to give, nothing happens.
 */
export function useHugePages(address: Pointer, bytes: number): void {
  const first = ((address + PAGE_BYTES - 1n) / PAGE_BYTES) * PAGE_BYTES;
  const end = ((address + BigInt(bytes)) / PAGE_BYTES) * PAGE_BYTES;
  if (end <= first) return;
  advise ??= load();
  advise(first, end - first, HUGE_PAGES);
}

/** As {@link useHugePages}, for an array that was just made. @returns the array. */
export function inHugePages<Data extends ArrayBufferView>(array: Data): Data {
  if (BigInt(array.byteLength) >= PAGE_BYTES) useHugePages(koffi.address(array), array.byteLength);
  return array;
}

function load(): Advise {
  const nothing = () => 0;
  if (!hasHugePages) return nothing;
  try {
    return loadForeign(null).func('int madvise(uint64_t address, uint64_t bytes, int advice)');
  } catch {
    return nothing;
  }
}
