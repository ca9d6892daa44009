const { workers } = require('./scripts/jest/workers.cjs');

/** One Jest run over every package, so that the counts at the end are the counts of the whole project. */
module.exports = {
  projects: ['<rootDir>/packages/*/jest.config.cjs'],
  maxWorkers: workers,
  // Nothing that is asserted depends on speed: whatever takes so long is stuck, on any machine.
  testTimeout: 600_000,
};
