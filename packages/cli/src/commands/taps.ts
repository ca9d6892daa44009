import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  type BackboneConfigV1,
  type DecoderSite,
  describeNonFinite,
  findNonFinite,
  float32Source,
  layerOfSite,
  type PreparedInputsV1,
  parseTapSite,
  siteIndex,
  siteOfLayer,
  type TapSite,
  type TensorSource,
  type ViewSite,
  writeSafetensors,
} from '@spatialsv/core';
import { BackboneRunner, type ForwardResult } from '@spatialsv/eval';
import type { ModelOptions } from '../command-line/options.js';
import { composePlugins } from '../composition.js';
import type { CommandContext } from '../context.js';
import { openModel, readImages } from '../model.js';
import { targetOf } from '../target.js';

export interface TapsOptions extends ModelOptions {
  readonly question: string;
  readonly layers?: readonly number[];
  readonly sites?: readonly string[];
  readonly out: string;
  readonly json: boolean;
}

export async function writeTaps(options: TapsOptions, context: CommandContext): Promise<void> {
  const { progress } = context;
  progress.start('Reading');
  const backbone = await openModel(
    options.model,
    await composePlugins(context.folder),
    options,
    context.err,
  );
  const images = await readImages(options.images, backbone);
  const inputs = await backbone.prepare({ images, question: options.question });
  const sites = tapSites(options, backbone.config);
  const runner = new BackboneRunner(backbone, { ...targetOf(options), weights: 'mapped' });
  progress.start(`Running ${inputs.inputIds.length} tokens`);
  const result = await runner.forward(inputs, { sites, logits: true });
  await runner.dispose();
  const { vocabularySize } = backbone.config;
  warnOfNonFinite(result, context.err);
  const tokens = inputs.inputIds.length;
  const tensors = new Map<string, TensorSource>([
    ['input_ids', int32Source(inputs.inputIds, [tokens])],
    ['logits', float32Source(result.logits!, [tokens, vocabularySize])],
    ...hiddenStates(result, backbone.config),
    ...viewStates(result),
  ]);
  tensors.set('grid', viewGrids(inputs));
  tensors.set('span', viewSpans(inputs));
  await mkdir(dirname(options.out), { recursive: true });
  await writeSafetensors(options.out, tensors);
  progress.done(`${options.out} written`);
  const shapes = [...tensors].map(([name, { shape }]) => [name, [...shape]] as const);
  context.out(
    options.json
      ? `${JSON.stringify({ file: options.out, tensors: Object.fromEntries(shapes) })}\n`
      : shapes.map(([name, shape]) => `${name} (${shape.join(', ')})\n`).join(''),
  );
}

/** States are written as they are, to be looked at; those that are not finite are said. */
function warnOfNonFinite({ hidden, views, logits }: ForwardResult, tell: (text: string) => void) {
  const ofViews = Object.entries(views).flatMap(([site, states]) =>
    states!.map(({ data }, view) => [`${site} of view ${view + 1}`, data] as const),
  );
  const ofDecoder = Object.entries(hidden).map(([site, data]) => [site, data!] as const);
  for (const [name, data] of [...ofViews, ...ofDecoder, ['logits', logits!] as const]) {
    const found = findNonFinite(data);
    if (found !== undefined)
      tell(`warning: ${name}: found ${describeNonFinite(found, data.length)}\n`);
  }
}

/** Sites of both options; the taps of the 3D heads without either. */
function tapSites({ layers, sites }: TapsOptions, config: BackboneConfigV1): readonly TapSite[] {
  const named = (sites ?? []).map((site) => parseTapSite(site, config));
  const numbers = layers ?? (sites === undefined ? config.defaultTaps : []);
  const numbered = numbers.map((layer) => siteOfLayer(layer, config.layers));
  return [...new Set([...numbered, ...named])];
}

/** `hidden.<l>` by layer. */
function hiddenStates(
  { hidden }: ForwardResult,
  { layers, hiddenSize }: BackboneConfigV1,
): [string, TensorSource][] {
  const states = Object.entries(hidden) as [DecoderSite, Float32Array][];
  return states
    .map(([site, data]) => ({ layer: layerOfSite(site, layers), data }))
    .sort((a, b) => a.layer - b.layer)
    .map(({ layer, data }) => [
      `hidden.${layer}`,
      float32Source(data, [data.length / hiddenSize, hiddenSize]),
    ]);
}

/** `vision.<k>.<v>` and `projector.<v>`. */
function viewStates({ views }: ForwardResult): [string, TensorSource][] {
  return Object.keys(views).flatMap((name) => {
    const site = name as ViewSite;
    const prefix = site === 'projector' ? site : `vision.${siteIndex(site)}`;
    return views[site]!.map(({ data, shape }, view): [string, TensorSource] => [
      `${prefix}.${view}`,
      float32Source(data, shape),
    ]);
  });
}

const viewGrids = ({ grids }: PreparedInputsV1): TensorSource =>
  int32Source(Int32Array.from(grids.flatMap(({ h, w }) => [h, w])), [grids.length, 2]);

function viewSpans({ grids }: PreparedInputsV1): TensorSource {
  const spans = grids.flatMap(({ tokenIndex, extraIndex }) => {
    const positions = [...tokenIndex, ...extraIndex];
    return [Math.min(...positions), Math.max(...positions) + 1];
  });
  return int32Source(Int32Array.from(spans), [grids.length, 2]);
}

const int32Source = (data: Int32Array, shape: readonly number[]): TensorSource => ({
  dtype: 'I32',
  shape,
  bytes: () => new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
});
