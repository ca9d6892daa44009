import { openAsSaved } from '@spatialsv/core/testing';
import onevisionReleases from './__fixtures__/onevision-releases.json' with { type: 'json' };
import nextVideoReleases from './__fixtures__/releases.json' with { type: 'json' };
import { llavaNextVideo } from './next-video/adapter.js';
import { llavaOneVision } from './onevision/adapter.js';
import { publishedName } from './shared/native-names.js';

describe.each([
  ['llava-next-video', llavaNextVideo, nextVideoReleases],
  ['llava-onevision', llavaOneVision, onevisionReleases],
] as const)('a folder of %s that a release of transformers saved', (_family, adapter, releases) => {
  /** What `spatialsv tiny --hidden-size 32 --layers 2 --attention-heads 2` writes, which the releases were given. */
  const write = (folder: string) =>
    adapter.writeTiny({ folder, seed: 0, hiddenSize: 32, layers: 2, heads: 2 });

  it.each(releases.saved.map((saved) => [saved.releases.join(', '), saved] as const))(
    'is the same model: %s',
    async (_releases, saved) => {
      const { expected, found } = await openAsSaved(
        { write, open: adapter.open, publishedName },
        releases,
        saved,
      );
      expect(found).toEqual(expected);
      expect(found.findings).toEqual([]);
    },
  );
});
