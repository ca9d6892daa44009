/** `claimer.cjs FOLDER KEY`: claims a key, prints whether it got it, and waits to be killed. */
const { writeSync } = require('node:fs');
const { createProcessOwner } = require('../../process-owner.ts');
const { LabelStore } = require('../label-store.ts');

async function main(folder, key) {
  const store = await LabelStore.open(folder);
  writeSync(1, `${await store.claim(key, createProcessOwner())}\n`);
  setInterval(() => undefined, 1000);
}

main(...process.argv.slice(2));
