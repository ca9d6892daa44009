export type { CommandContext } from './context.js';
export { EXIT } from './exit.js';
export { createProgram, runCommand } from './run.js';
