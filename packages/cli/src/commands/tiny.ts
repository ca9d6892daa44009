import {
  type BackboneConfigV1,
  errorMessage,
  extendError,
  type GeometryHeadV1,
  type PluginRegistry,
  SpatialError,
  writeSpatialCheckpoint,
} from '@spatialsv/core';
import { sizeOf } from '@spatialsv/engine';
import { composePlugins } from '../composition.js';
import type { CommandContext } from '../context.js';
import { findAdapter, openModel } from '../model.js';
import { requireEmpty } from '../output-folder.js';
import { parseSettings } from '../settings.js';

export interface TinyOptions {
  readonly family: string;
  readonly out: string;
  readonly seed: number;
  readonly hiddenSize?: number;
  readonly layers?: number;
  readonly attentionHeads?: number;
  readonly heads: boolean;
  /** Folder of a real tokenizer. */
  readonly tokenizer?: string;
  /** Settings of the family by key; values are YAML. */
  readonly set?: Readonly<Record<string, string>>;
  readonly force: boolean;
  readonly json: boolean;
}

export async function writeTiny(options: TinyOptions, context: CommandContext): Promise<void> {
  const plugins = await composePlugins(context.folder);
  const isSource = plugins.ids('label-source').includes(options.family);
  const write = isSource ? writeTinySource : writeTinyBackbone;
  const { summary, text } = await write(options, plugins);
  context.out(options.json ? `${JSON.stringify(summary)}\n` : `${options.out}: ${text}\n`);
}

interface Written {
  /** For `--json`. */
  readonly summary: object;
  readonly text: string;
}

/** @throws SpatialError USAGE, which also names the label sources. */
function findFamily(family: string, plugins: PluginRegistry) {
  try {
    return findAdapter(family, plugins);
  } catch (error) {
    const sources = plugins.ids('label-source').join(', ');
    throw extendError(error, `${errorMessage(error)} Label sources: ${sources}.`);
  }
}

async function writeTinyBackbone(options: TinyOptions, plugins: PluginRegistry): Promise<Written> {
  const adapter = findFamily(options.family, plugins);
  if (!options.force) await requireEmpty(options.out);
  const { out, seed, hiddenSize, layers, attentionHeads, tokenizer, set } = options;
  await adapter.writeTiny({
    folder: out,
    seed,
    ...(hiddenSize !== undefined && { hiddenSize }),
    ...(layers !== undefined && { layers }),
    ...(attentionHeads !== undefined && { heads: attentionHeads }),
    ...(tokenizer !== undefined && { tokenizer }),
    ...(set !== undefined && { settings: parseSettings('--set', set) }),
  });
  const { config, weights } = await openModel(out, plugins);
  if (options.heads) await writeHeads(out, config, plugins.resolveGeometryHead('dpt'), seed);
  const parameters = Object.values(weights).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const summary = {
    folder: out,
    family: adapter.id,
    parameters,
    layers: config.layers,
    hiddenSize: config.hiddenSize,
    taps: config.defaultTaps,
    heads: options.heads,
  };
  const text = `${adapter.id}, ${parameters} random parameters, ${config.layers} layers of ${config.hiddenSize}`;
  return { summary, text: options.heads ? `${text}, random 3D heads` : text };
}

/** Small random weights of a label source. Its labels mean nothing; everything that handles them can be tried. */
async function writeTinySource(options: TinyOptions, plugins: PluginRegistry): Promise<Written> {
  const { out, seed, family } = options;
  const source = plugins.resolveLabelSource(family);
  if (source.writeTiny === undefined) {
    throw usage(
      `--family ${family}: this label source has no weights`,
      `Label with it right away: spatialsv label --source ${family}`,
    );
  }
  refuseDecoderOptions(options);
  if (!options.force) await requireEmpty(out);
  await source.writeTiny({ folder: out, seed });
  const labeller = await source.open({ weights: out });
  const { model } = labeller.provenance;
  await labeller.dispose();
  const summary = { folder: out, family: source.id, model };
  return { summary, text: `${source.id}, random weights of a small ${model}` };
}

function refuseDecoderOptions(options: TinyOptions): void {
  const { hiddenSize, layers, attentionHeads, heads, tokenizer, set } = options;
  const given = Object.entries({
    '--hidden-size': hiddenSize !== undefined,
    '--layers': layers !== undefined,
    '--attention-heads': attentionHeads !== undefined,
    '--heads': heads,
    '--tokenizer': tokenizer !== undefined,
    '--set': set !== undefined,
  }).flatMap(([name, isGiven]) => (isGiven ? [name] : []));
  if (given.length === 0) return;
  throw usage(
    `${given.join(', ')}: options of backbones, given for a label source`,
    'Leave them out: a label source has one small size.',
  );
}

const usage = (message: string, hint: string): SpatialError =>
  new SpatialError({ code: 'USAGE', message, hint });

async function writeHeads(
  folder: string,
  { hiddenSize, defaultTaps: taps }: BackboneConfigV1,
  head: GeometryHeadV1,
  seed: number,
): Promise<void> {
  const heads = await head.configure({ preset: 'tiny' });
  const widths = taps.map(() => hiddenSize);
  const parameters = heads.initialise(widths, seed);
  await writeSpatialCheckpoint(folder, { taps, heads, featureChannels: 0, parameters });
}
