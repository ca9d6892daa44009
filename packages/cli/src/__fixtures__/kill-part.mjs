/**
 * `node --import kill-part.mjs main.js COMMAND …`: the process of share 2 of 2 is killed while it labels its second view set, or reads
 * its second answer, as a system does that runs out of memory; once, as the file named by KILLED says.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { qwen25Vl } from '@spatialsv/adapter-qwen25vl';
import { syntheticSource } from '@spatialsv/vfm-synthetic';

const marker = process.env.KILLED;

/** Has the method of what `plugin` opens end the process when it is called the second time. */
function killIn(plugin, method) {
  const open = plugin.open.bind(plugin);
  let calls = 0;
  plugin.open = async (...given) => {
    const opened = await open(...given);
    const work = opened[method].bind(opened);
    opened[method] = (...args) => {
      calls += 1;
      if (calls < 2) return work(...args);
      writeFileSync(marker, '');
      process.kill(process.pid, 'SIGKILL');
      return new Promise(() => {});
    };
    return opened;
  };
}

if (process.argv.includes('2/2') && !existsSync(marker)) {
  killIn(syntheticSource, 'doLabel');
  killIn(qwen25Vl, 'decodeTokens');
}
