import { openAsSaved } from '@spatialsv/core/testing';
import releases from './__fixtures__/releases.json' with { type: 'json' };
import { publishedName } from './internvl3-names.js';
import { internVl3 } from './plugin.js';

/** What `spatialsv tiny --hidden-size 32 --layers 2 --attention-heads 2 --set layout=native` writes, which the releases were given. */
const write = (folder: string) =>
  internVl3.writeTiny({
    ...{ folder, seed: 0, hiddenSize: 32, layers: 2, heads: 2 },
    settings: { layout: 'native' },
  });

describe('a folder that a release of transformers saved', () => {
  it.each(releases.saved.map((saved) => [saved.releases.join(', '), saved] as const))(
    'is the same model: %s',
    async (_releases, saved) => {
      const { expected, found } = await openAsSaved(
        { write, open: internVl3.open, publishedName },
        releases,
        saved,
      );
      expect(found).toEqual(expected);
      expect(found.findings).toEqual([]);
    },
  );
});
