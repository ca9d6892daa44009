import type { Command } from 'commander';
import type { ExportOptions, ShowOptions, VerifyOptions } from '../commands/labels.js';
import type { CommandContext } from '../context.js';
import { addNames, describeCommand, wholeNumber } from './options.js';

export function registerLabels(program: Command, context: CommandContext): void {
  const labels = describeCommand(
    program.command('labels'),
    'Look at a label store, check it, and export from it.',
    [
      'labels show labels',
      'labels verify labels --images',
      'labels export labels --to ply --out out',
    ],
  );
  registerShow(labels, context);
  registerVerify(labels, context);
  registerExport(labels, context);
}

function registerShow(labels: Command, context: CommandContext): void {
  describeCommand(
    labels.command('show'),
    'List the view sets of a store, or tell everything about one.',
    ['labels show labels', 'labels show labels 3f2a91'],
  )
    .argument('<store>', 'folder of the label store')
    .argument('[prefix]', 'how keys begin; one view set is told in detail')
    .option('--limit <n>', 'lines of the list', wholeNumber(1), 50)
    .option('--json', 'print as JSON, the list in full', false)
    .action(async (folder: string, prefix: string | undefined, options: ShowOptions) => {
      const { showStore } = await import('../commands/labels.js');
      await showStore(folder, prefix, options, context);
    });
}

function registerVerify(labels: Command, context: CommandContext): void {
  describeCommand(
    labels.command('verify'),
    'Check every view set: arrays, checksum, cameras, points. Exit code 1 when something is wrong.',
    ['labels verify labels', 'labels verify labels --images'],
  )
    .argument('<store>', 'folder of the label store')
    .option('--images', 'also whether the images are still the ones that were labelled', false)
    .option('--remove', 'remove damaged view sets, so that `label` makes them again', false)
    .option('--json', 'print the result as JSON', false)
    .action(async (folder: string, options: VerifyOptions) => {
      const { verifyLabels } = await import('../commands/labels.js');
      await verifyLabels(folder, options, context);
    });
}

function registerExport(labels: Command, context: CommandContext): void {
  describeCommand(
    labels.command('export'),
    'Write view sets as files, each into a folder named after its key, with a labels.json that says what they mean.',
    [
      'labels export labels --out out',
      'labels export labels --out out --keys 3f2a91 --to ply,glb,colmap',
    ],
  )
    .argument('<store>', 'folder of the label store')
    .requiredOption('--out <folder>', 'folder to write into')
    .option(
      '--to <formats>',
      'png (default), ply, glb, safetensors, colmap; commas, or repeated',
      addNames,
    )
    .option('--keys <prefixes...>', 'only view sets whose keys begin so')
    .option('--limit <n>', 'only the first n view sets', wholeNumber(1))
    .option('--json', 'print what was written as JSON', false)
    .action(async (folder: string, options: ExportOptions) => {
      const { exportFromStore } = await import('../commands/labels.js');
      await exportFromStore(folder, options, context);
    });
}
