import { publishedCellName as publishedName } from '@spatialsv/core/kit';
import { openAsSaved } from '@spatialsv/core/testing';
import releases from './__fixtures__/releases.json' with { type: 'json' };
import { qwen25Vl } from './plugin.js';

/** What `spatialsv tiny --hidden-size 32 --layers 2 --attention-heads 2` writes, which the releases were given. */
const write = (folder: string) =>
  qwen25Vl.writeTiny({ folder, seed: 0, hiddenSize: 32, layers: 2, heads: 2 });

describe('a folder that a release of transformers saved', () => {
  it.each(releases.saved.map((saved) => [saved.releases.join(', '), saved] as const))(
    'is the same model: %s',
    async (_releases, saved) => {
      const { expected, found } = await openAsSaved(
        { write, open: qwen25Vl.open, publishedName },
        releases,
        saved,
      );
      expect(found).toEqual(expected);
      expect(found.findings).toEqual([]);
    },
  );
});
