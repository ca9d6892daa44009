import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { withTemporaryFolder } from '../testing/temporary-folder.js';
import { readEndIds } from './generation-config.js';

it.each([
  [{ eos_token_id: [7, 8] }, { eos_token_id: 3 }, [7, 8]],
  [{ eos_token_id: null }, { eos_token_id: 3 }, [3]],
  [undefined, { eos_token_id: 3 }, [3]],
  [undefined, { text_config: { eos_token_id: [5] } }, [5]],
  [{}, {}, []],
])('reads end ids of %j and %j', (generation, config, expected) =>
  withTemporaryFolder(async (folder) => {
    const file = path.join(folder, 'generation_config.json');
    if (generation) await writeFile(file, JSON.stringify(generation));
    expect(await readEndIds(folder, config)).toEqual(expected);
  }),
);

it('does not take a damaged file for a missing one', () =>
  withTemporaryFolder(async (folder) => {
    await writeFile(path.join(folder, 'generation_config.json'), '{');
    await expect(readEndIds(folder, {})).rejects.toMatchObject({ code: 'FILE_INVALID' });
  }));
