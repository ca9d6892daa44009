const { default: Sequencer } = require('@jest/test-sequencer');

/** Their files train models and start programs; of those the longest are short texts. */
const SLOW_PROJECTS = new Set(['train', 'cli']);

const isSlow = ({ context }) => SLOW_PROJECTS.has(context.config.displayName?.name);

/** 0 first: what may take long and was never timed. */
const rank = (test) => (test.duration == null && isSlow(test) ? 0 : 1);

/**
 * Jest begins with the files that took longest in the run before, and in a first run with the longest texts. Then a file of
 * half a minute may be the last, while the other workers have nothing left: slow projects go first instead.
 */
module.exports = class LongestFirst extends Sequencer {
  sort(tests) {
    return super.sort([...tests]).sort((a, b) => rank(a) - rank(b));
  }
};
