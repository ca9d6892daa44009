/**
 * `node --import kill-part.mjs main.js COMMAND …`: the process of share 2 of 2 is killed while it labels its second view set, the
 * first of which is stored, or reads its second answer, as a system does that runs out of memory; once, as the file named by KILLED
 * says.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { qwen25Vl } from '@spatialsv/adapter-qwen25vl';
import { LabelStore } from '@spatialsv/core';
import { syntheticSource } from '@spatialsv/vfm-synthetic';

const marker = process.env.KILLED;

/** Ends when the first labels are on the disk: the next ones are made while they are written. */
const firstIsStored = () =>
  new Promise((resolve, reject) => {
    const { write } = LabelStore.prototype;
    LabelStore.prototype.write = function (...given) {
      const written = write.apply(this, given);
      written.then(resolve, reject);
      return written;
    };
  });

function end() {
  writeFileSync(marker, '');
  process.kill(process.pid, 'SIGKILL');
  return new Promise(() => {});
}

/** Has the method of what `plugin` opens end the process by `last` when it is called the second time. */
function killIn(plugin, method, last) {
  const open = plugin.open.bind(plugin);
  let calls = 0;
  plugin.open = async (...given) => {
    const opened = await open(...given);
    const work = opened[method].bind(opened);
    opened[method] = (...args) => {
      calls += 1;
      return calls < 2 ? work(...args) : last();
    };
    return opened;
  };
}

if (process.argv.includes('2/2') && !existsSync(marker)) {
  const stored = firstIsStored();
  killIn(syntheticSource, 'doLabel', () => stored.then(end));
  killIn(qwen25Vl, 'decodeTokens', end);
}
