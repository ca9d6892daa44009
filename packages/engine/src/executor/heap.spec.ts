import { getHeapSpaceStatistics } from 'node:v8';
import { collectGarbage } from './heap.js';

const youngBytes = () =>
  getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')!
    .physical_space_size;

/** Enough objects that outlive some others for the young generation to grow. */
function litter(): number {
  let kept: object[] = [];
  for (let i = 0; i < 1e6; i += 1) {
    kept.push({ i });
    if (kept.length > 5e4) kept = [];
  }
  return kept.length;
}

describe('collectGarbage', () => {
  it('gives the memory of what has gone back, each time that it is called', async () => {
    for (let turn = 0; turn < 2; turn += 1) {
      litter();
      const before = youngBytes();
      await collectGarbage();
      expect(before).toBeGreaterThan(2 * youngBytes());
    }
  });
});
