import { Session as Inspector } from 'node:inspector';
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

/** Kept while they work: a session that is known to its own callback alone would be collected, and never answer. */
const working = new Set<Inspector>();

/**
 * Has JavaScript give its garbage back to the system: its young generation alone keeps up to 32 MiB, since nothing tells the collector
 * that other memory is short. Takes about a tenth of a second.
 */
export async function collectGarbage(): Promise<void> {
  const inspector = new Inspector();
  working.add(inspector);
  inspector.connect();
  await new Promise<void>((resolve) => {
    inspector.post('HeapProfiler.collectGarbage', () => resolve());
  });
  inspector.disconnect();
  working.delete(inspector);
}
