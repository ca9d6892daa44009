import { extractFeatures } from './extract-features.js';
import type { ProbeSet } from './view-sets.js';

const sets = ['a', 'b', 'c'].map((id): ProbeSet => ({ id, images: [`${id}.png`], hashes: [id] }));

/** Extracts until `done` sets are there. @returns the sets that were written when it had ended. */
async function stoppedAfter(done: number): Promise<readonly string[]> {
  const stop = new AbortController();
  const written: string[] = [];
  const image = { data: new Uint8Array(3), width: 1, height: 1 };
  const extraction = extractFeatures({
    ...{ sets, sites: ['final'], pixels: false, backbone: {}, signal: stop.signal },
    files: { decode: async () => image },
    readStates: async () => ({ layout: [], states: new Map() }),
    store: {
      missing: async (_, sites) => sites,
      write: async (id) => {
        // Longer than what stops the extraction takes.
        for (let turns = 0; turns < 5; turns++) await new Promise(setImmediate);
        written.push(id);
      },
    },
    onProgress: (there) => there === done && stop.abort(new Error('stopped')),
  });
  await expect(extraction).rejects.toThrow('stopped');
  return [...written];
}

describe('extractFeatures', () => {
  it('ends with the set under way written, when it is stopped', async () => {
    expect(await stoppedAfter(1)).toEqual(['a']);
    expect(await stoppedAfter(2)).toEqual(['a', 'b']);
  });
});
