import { openAsSaved } from '@spatialsv/core/testing';
import releases from './__fixtures__/releases.json' with { type: 'json' };
import { llavaNextVideo } from './plugin.js';
import { publishedName } from './shared/native-names.js';

/** What `spatialsv tiny --hidden-size 32 --layers 2 --attention-heads 2` writes, which the releases were given. */
const write = (folder: string) =>
  llavaNextVideo.writeTiny({ folder, seed: 0, hiddenSize: 32, layers: 2, heads: 2 });

describe('a folder that a release of transformers saved', () => {
  it.each(releases.saved.map((saved) => [saved.releases.join(', '), saved] as const))(
    'is the same model: %s',
    async (_releases, saved) => {
      const { expected, found } = await openAsSaved(
        { write, open: llavaNextVideo.open, publishedName },
        releases,
        saved,
      );
      expect(found).toEqual(expected);
      expect(found.findings).toEqual([]);
    },
  );
});
