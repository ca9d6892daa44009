/** Copies weights as the first thing that a process does with the engine. */
const { WeightSet } = require('../../index.ts');

const [tensor] = JSON.parse(process.argv[2]);
const weights = new WeightSet({ w: tensor }, { policy: 'float32' });
weights
  .load()
  .then(() => weights.dispose())
  .then(() => process.stdout.write('loaded'));
