export type { CommandContext } from './context.js';
export { EXIT } from './exit.js';
export { silentProgress } from './progress.js';
export { createProgram, runCommand } from './run.js';
