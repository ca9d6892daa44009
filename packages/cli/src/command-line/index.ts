import type { Command } from 'commander';
import type { CommandContext } from '../context.js';
import { registerAsk } from './ask.js';
import { registerCheck } from './check.js';
import { registerDemo } from './demo.js';
import { registerDoctor } from './doctor.js';
import { registerEval } from './eval.js';
import { registerExplain } from './explain.js';
import { registerLabel } from './label.js';
import { registerLabels } from './labels.js';
import { registerLift } from './lift.js';
import { registerMerge } from './merge.js';
import { registerPlugins } from './plugins.js';
import { registerProbe } from './probe.js';
import { registerSweep } from './sweep.js';
import { registerTaps } from './taps.js';
import { registerTiny } from './tiny.js';
import { registerTrain } from './train.js';
import { registerView } from './view.js';

/**
 * Every command, in the order of the help. Each file of this folder registers one: its options and texts. What a command does
 * is loaded when it runs, so that `--help` and `--version` load no model, no image and no tensor library.
 */
export const COMMANDS: readonly ((program: Command, context: CommandContext) => void)[] = [
  registerDemo,
  registerDoctor,
  registerPlugins,
  registerCheck,
  registerTiny,
  registerLabel,
  registerLabels,
  registerTrain,
  registerSweep,
  registerMerge,
  registerTaps,
  registerAsk,
  registerEval,
  registerProbe,
  registerLift,
  registerExplain,
  registerView,
];
