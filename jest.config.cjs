const { testTimeout } = require('./jest.preset.cjs');
const { workers } = require('./scripts/jest/workers.cjs');

/** One Jest run over every package, so that the counts at the end are the counts of the whole project. */
module.exports = {
  projects: ['<rootDir>/packages/*/jest.config.cjs'],
  maxWorkers: workers,
  testSequencer: require.resolve('./scripts/jest/longest-first.cjs'),
  // Node lets go of few of the contexts in which files ran. Among gigabytes of them collecting garbage takes most of the time.
  workerIdleMemoryLimit: '1GB',
  // A worker that has run half of the tests gives back a gigabyte when it ends; nothing is left open in it.
  workerGracefulExitTimeout: 10_000,
  // Functions that threads are given as text do not run there with counters of coverage in them.
  coverageProvider: 'v8',
  testTimeout, // Several projects take the one given here, a single one its own.
};
