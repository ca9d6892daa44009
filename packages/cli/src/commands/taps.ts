import {
  float32Source,
  type PreparedInputsV1,
  type TensorSource,
  writeSafetensors,
} from '@spatialsv/core';
import { BackboneRunner } from '@spatialsv/eval';
import type { Command } from 'commander';
import { composePlugins } from '../composition.js';
import type { CommandContext } from '../context.js';
import { openModel, readImages } from '../model.js';
import { addModelOptions, describeCommand, layerList, type ModelOptions } from '../options.js';

interface TapsOptions extends ModelOptions {
  readonly question: string;
  readonly layers?: readonly number[];
  readonly out: string;
  readonly json: boolean;
}

const CONTENT = `
The file holds input_ids (T), logits (T, K), hidden.<l> (T, C) for each layer (0 = embeddings, L = after the final norm),
grid (V, 2): rows and columns of each view, and span (V, 2): its first position and the one after its last.`;

export function registerTaps(program: Command, context: CommandContext): void {
  const command = describeCommand(
    program.command('taps'),
    'Write hidden states and logits of a prompt as a safetensors file.',
    [
      'taps --model ./tiny --images a.jpg b.jpg --question "What is nearest?" --layers 0,2,4 --out taps.safetensors',
    ],
  );
  command.addHelpText('after', CONTENT);
  addModelOptions(command)
    .requiredOption('--question <text>', 'what is asked about the pictures')
    .option(
      '--layers <list>',
      'layers, separated by commas (default: those that feed the 3D heads)',
      layerList,
    )
    .requiredOption('--out <file>', 'safetensors file to write')
    .option('--json', 'print the shapes as JSON', false)
    .action((options: TapsOptions) => writeTaps(options, context));
}

async function writeTaps(options: TapsOptions, context: CommandContext): Promise<void> {
  const { progress } = context;
  progress.start('Reading');
  const backbone = await openModel(options.model, await composePlugins(context.folder), options);
  const images = await readImages(options.images);
  const inputs = await backbone.prepare({ images, question: options.question });
  const layers = options.layers ?? backbone.config.defaultTaps;
  const runner = new BackboneRunner(backbone, { device: options.device });
  progress.start(`Running ${inputs.inputIds.length} tokens`);
  const { hidden, logits } = await runner.forward(inputs, { layers, logits: true });
  await runner.dispose();
  const { hiddenSize, vocabularySize } = backbone.config;
  const tokens = inputs.inputIds.length;
  const tensors = new Map<string, TensorSource>([
    ['input_ids', int32Source(inputs.inputIds, [tokens])],
    ['logits', float32Source(logits!, [tokens, vocabularySize])],
  ]);
  for (const layer of layers) {
    tensors.set(`hidden.${layer}`, float32Source(hidden[layer]!, [tokens, hiddenSize]));
  }
  tensors.set('grid', viewGrids(inputs));
  tensors.set('span', viewSpans(inputs));
  await writeSafetensors(options.out, tensors);
  progress.done(`${options.out} written`);
  const shapes = [...tensors].map(([name, { shape }]) => [name, [...shape]] as const);
  context.out(
    options.json
      ? `${JSON.stringify({ file: options.out, tensors: Object.fromEntries(shapes) })}\n`
      : shapes.map(([name, shape]) => `${name} (${shape.join(', ')})\n`).join(''),
  );
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
