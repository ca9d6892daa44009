import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { JsonObject } from '../json.js';
import { withTemporaryFolder } from '../testing/temporary-folder.js';
import { readGenerationSettings, SAMPLING_DEFAULTS } from './generation-config.js';

const read = (file: JsonObject | undefined, config: JsonObject, endIds: readonly number[] = []) =>
  withTemporaryFolder(async (folder) => {
    const name = path.join(folder, 'generation_config.json');
    if (file) await writeFile(name, JSON.stringify(file));
    return readGenerationSettings(folder, config, endIds);
  });

it.each([
  [{ eos_token_id: [7, 8] }, { eos_token_id: 3 }, [2, 7, 8]],
  [{ eos_token_id: null }, { eos_token_id: 3 }, [2, 3]],
  [undefined, { eos_token_id: 2 }, [2]],
  [undefined, { text_config: { eos_token_id: [5] } }, [2, 5]],
  [undefined, { llm_config: { eos_token_id: [5] } }, [2, 5]],
  [{}, {}, [2]],
])('reads end ids of %j and %j', async (file, config, expected) => {
  expect((await read(file, config, [2])).endOfTurnIds).toEqual(expected);
});

it('reads the whole of a file, and says what it does not follow', async () => {
  const file = {
    do_sample: true,
    repetition_penalty: 1.05,
    temperature: 0.1,
    top_k: 1,
    top_p: 0.001,
    min_p: 0.02,
    max_new_tokens: 300,
    num_beams: 4,
    typical_p: 1,
    bad_words_ids: null,
    transformers_version: '4.49.0',
  };
  expect(await read(file, { repetition_penalty: 9 })).toEqual({
    endOfTurnIds: [],
    repetitionPenalty: 1.05,
    maxNewTokens: 300,
    sampling: { doSample: true, temperature: 0.1, topK: 1, topP: 0.001, minP: 0.02 },
    file: 'generation_config.json',
    ignored: { num_beams: 4 },
  });
});

it('takes the values of config.json only where the file is missing, outer ones first', async () => {
  const config = { repetition_penalty: 1.2, text_config: { repetition_penalty: 3, top_k: 7 } };
  expect(await read({}, config)).toMatchObject({ repetitionPenalty: 1 });
  const found = await read(undefined, config);
  expect(found).toMatchObject({ repetitionPenalty: 1.2, file: 'config.json' });
  expect(found.sampling).toEqual({ ...SAMPLING_DEFAULTS, topK: 7 });
  expect(await read(undefined, {})).not.toHaveProperty('file');
});

it.each([
  [{ repetition_penalty: 0 }, 'repetition_penalty'],
  [{ top_p: 1.5 }, 'top_p'],
  [{ do_sample: true, temperature: 0 }, 'temperature'],
  [{ top_k: 'all' }, 'top_k'],
])('refuses %j', async (file, key) => {
  const message = expect.stringContaining(`generation_config.json.${key}`);
  await expect(read(file, {})).rejects.toMatchObject({ code: 'CONFIG_INVALID', message });
});

it('takes the temperature 0 of a greedy checkpoint for the usual one', async () => {
  expect((await read({ temperature: 0 }, {})).sampling.temperature).toBe(1);
});

it('does not take a damaged file for a missing one', () =>
  withTemporaryFolder(async (folder) => {
    await writeFile(path.join(folder, 'generation_config.json'), '{');
    const found = readGenerationSettings(folder, {});
    await expect(found).rejects.toMatchObject({ code: 'FILE_INVALID' });
  }));
