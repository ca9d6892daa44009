import type { Command } from 'commander';
import type { TapsOptions } from '../commands/taps.js';
import type { CommandContext } from '../context.js';
import { addModelOptions, addNames, describeCommand, layerList } from './options.js';

const CONTENT = `
The file holds input_ids (T), logits (T, K), hidden.<l> (T, C) for each layer (0 = embeddings, L = after the final norm),
vision.<k>.<v> (P, Cv): patches of view v after k blocks of the vision encoder, row by row, and projector.<v> (h·w, C): its rows
for the decoder, where --sites asks for them; grid (V, 2): rows and columns of each view, and span (V, 2): its first position and
the one after its last.`;

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
    .requiredOption('--question <text>', 'what is asked about the images')
    .option(
      '--layers <list>',
      'layers, separated by commas (default: those that feed the 3D heads)',
      layerList,
    )
    .option(
      '--sites <list>',
      'further sites, separated by commas: embedding, layer:4, final, vision:7, projector',
      addNames,
    )
    .requiredOption('--out <file>', 'safetensors file to write')
    .option('--json', 'print the shapes as JSON', false)
    .action(async (options: TapsOptions) => {
      const { writeTaps } = await import('../commands/taps.js');
      await writeTaps(options, context);
    });
}
