import { type Command, Option } from 'commander';
import type { LabelOptions } from '../commands/label.js';
import type { CommandContext } from '../context.js';
import {
  addDevice,
  addDevices,
  addSetting,
  describeCommand,
  givenArguments,
  parseShard,
  wholeNumber,
} from './options.js';

export function registerLabel(program: Command, context: CommandContext): void {
  const command = describeCommand(
    program.command('label'),
    `Label images with a 3D vision model: depth, cameras and features of each view set go into a store.
The same command goes on where it was stopped or killed; several of them may fill one store together.`,
    [
      'label --source synthetic --data rooms/raw/MindCube_train.jsonl --format mindcube --out labels',
      'label --source vggt --weights ./VGGT-1B --images scene/ --out labels',
      'label --source dav3 --weights ./DA3-SMALL --data data.jsonl --out labels --shard 1/4',
      'label --source dav3 --weights ./DA3-SMALL --data data.jsonl --out labels --devices cuda:0,cuda:1',
    ],
  );
  addWhat(command);
  addDevices(addDevice(addHow(command))).action(async (options: LabelOptions, own: Command) => {
    if (options.devices !== undefined) {
      const { labelOnDevices } = await import('../commands/label-devices.js');
      const given = { ...options, devices: options.devices };
      return labelOnDevices(given, givenArguments(own), context);
    }
    const { label } = await import('../commands/label.js');
    return label(options, context);
  });
}

function addWhat(command: Command): void {
  command
    .option('--images <paths...>', 'images, a folder of them, or patterns in quotes')
    .option(
      '--views <n>',
      'label --images in groups of n neighbours; all together where absent',
      wholeNumber(1),
    )
    .option('--data <file>', 'data set: each distinct list of images is a view set')
    .option(
      '--format <id>',
      'format of --data, see `spatialsv plugins`; found out from the file where absent',
    )
    .option('--image-root <folder>', 'folder that the paths in --data are relative to')
    .option('--limit <n>', 'only the first n view sets', wholeNumber(1))
    .option('--shard <i/n>', 'only part i of n', parseShard);
}

function addHow(command: Command): Command {
  return command
    .requiredOption('--source <id>', 'label source, see `spatialsv plugins`')
    .requiredOption('--out <folder>', 'label store; made where there is none')
    .option('--weights <path>', 'weights of the source, where it has any')
    .option('--setting <key=value>', 'setting of the source; may be repeated', addSetting)
    .option('--settings <file>', 'settings of the source as YAML')
    .option(
      '--height <n>',
      'height of the labels, pixels; the source’s own where absent',
      wholeNumber(1),
    )
    .option('--width <n>', 'width of the labels, pixels', wholeNumber(1))
    .addOption(
      new Option(
        '--on-error <what>',
        'a view set that cannot be labelled is skipped, or ends the run',
      )
        .choices(['skip', 'fail'])
        .default('skip'),
    )
    .option('--force', 'label again what is in the store', false)
    .option('--json', 'print one JSON object at the end', false);
}
