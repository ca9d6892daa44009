import { loadForeign } from './library.js';

/** Only the GNU C library has it. */
type Trim = (pad: number) => number;

let trim: Trim | undefined;

/** Gives memory back to the system that the C library has kept of freed blocks. Linux only; elsewhere nothing happens. */
export function trimHeap(): void {
  trim ??= load();
  trim(0);
}

function load(): Trim {
  const nothing = () => 0;
  if (process.platform !== 'linux') return nothing;
  try {
    return loadForeign(null).func('int malloc_trim(size_t pad)');
  } catch {
    return nothing;
  }
}
