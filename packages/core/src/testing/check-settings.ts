/** What a backbone takes from options and from generation_config.json, and what it says of itself. */
import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SpatialError } from '../errors.js';
import type {
  BackboneAdapterV1,
  BackboneConfigV1,
  BackboneV1,
  ConversationV1,
  TinyCheckpointOptions,
} from '../spec.js';

const refuses = (code: string, named: string) => (error: unknown) =>
  SpatialError.isInstance(error) && error.code === code && error.message.includes(named);

/** Settings that nobody has are refused by name, and so is a budget of pixels unless views follow it. */
export const checkOptions = async (
  adapter: BackboneAdapterV1,
  backbone: BackboneV1,
  conversation: ConversationV1,
): Promise<void> => {
  const { folder } = backbone;
  const unknown = { settings: { 'no such setting': 1 } };
  await assert.rejects(
    adapter.open(folder, unknown),
    refuses('CONFIG_INVALID', 'no such setting'),
    'an unknown setting is not refused by its name',
  );
  const cells = async (opened: BackboneV1) => {
    const { grids } = await opened.prepare(conversation);
    return grids.reduce((sum, { h, w }) => sum + h * w, 0);
  };
  const [, second] = conversation.images;
  const maxPixels = Math.floor((second!.width * second!.height) / 4);
  const small = await adapter.open(folder, { maxPixels }).catch((error: unknown) => {
    assert.ok(
      refuses('CONFIG_INVALID', 'maxPixels')(error),
      'a budget of pixels is refused without saying so',
    );
    return undefined;
  });
  if (small !== undefined)
    assert.ok(
      (await cells(small)) < (await cells(backbone)),
      'views do not follow the budget of pixels',
    );
};

/** Settings of generation_config.json reach the configuration; tokens that end an answer are there also without the file. */
export const checkGeneration = async (
  adapter: BackboneAdapterV1,
  backbone: BackboneV1,
  root: string,
): Promise<void> => {
  checkStated(backbone.config);
  const folder = path.join(root, 'generation');
  await backbone.save(folder, new Map());
  const file = path.join(folder, 'generation_config.json');
  const before = JSON.parse(await readFile(file, 'utf8').catch(() => '{}'));
  const more = {
    repetition_penalty: 1.25,
    do_sample: true,
    temperature: 0.5,
    top_k: 7,
    top_p: 0.5,
  };
  await writeFile(
    file,
    JSON.stringify({ ...before, eos_token_id: [3], ...more, max_new_tokens: 9 }),
  );
  const { generation } = (await adapter.open(folder)).config;
  assert.equal(
    generation.repetitionPenalty,
    1.25,
    'the repetition penalty is not that of the file',
  );
  const { minP: _, ...sampling } = generation.sampling;
  assert.deepEqual(sampling, { doSample: true, temperature: 0.5, topK: 7, topP: 0.5 });
  assert.equal(generation.maxNewTokens, 9);
  assert.ok(generation.endOfTurnIds.includes(3), 'the end token of the file is left out');
  await rm(file);
  const without = (await adapter.open(folder)).config.generation;
  assert.ok(
    without.endOfTurnIds.length > 0,
    'without generation_config.json no token ends an answer',
  );
  assert.equal(without.repetitionPenalty, 1);
};

const checkStated = ({ generation, learningRates, model, vocabularySize }: BackboneConfigV1) => {
  const { endOfTurnIds, repetitionPenalty, sampling } = generation;
  for (const id of endOfTurnIds)
    assert.ok(
      Number.isInteger(id) && id >= 0 && id < vocabularySize,
      `end token ${id} is no token`,
    );
  assert.ok(repetitionPenalty > 0, `the repetition penalty is ${repetitionPenalty}`);
  assert.ok(
    sampling.temperature > 0 && sampling.topP > 0 && sampling.topK >= 0 && sampling.minP >= 0,
  );
  assert.deepEqual(Object.keys(learningRates).sort(), ['languageModel', 'projector', 'spatial']);
  for (const [group, rate] of Object.entries(learningRates))
    assert.ok(rate >= 0 && rate < 1, `the learning rate of ${group} is ${rate}`);
  assert.ok(model === undefined || model.length > 0, 'the name of the published model is empty');
};

/** A tiny checkpoint with the tokenizer of a folder gives its ids, whatever the corpus. */
export const checkTokenizer = async (
  adapter: BackboneAdapterV1,
  { backbone, tiny }: { readonly backbone: BackboneV1; readonly tiny: TinyCheckpointOptions },
  conversation: ConversationV1,
  root: string,
): Promise<void> => {
  const folder = path.join(root, 'with-tokenizer');
  const corpus = ['Something else altogether.'];
  await adapter.writeTiny({ ...tiny, folder, corpus, tokenizer: backbone.folder });
  const taught = { ...conversation, answer: 'B' };
  const [expected, found] = await Promise.all(
    [backbone, await adapter.open(folder)].map((opened) => opened.prepare(taught)),
  );
  assert.deepEqual(found!.inputIds, expected!.inputIds, 'the ids are not those of the tokenizer');
};
