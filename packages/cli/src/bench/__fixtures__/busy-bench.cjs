/**
 * `node -r register.cjs busy-bench.cjs WAY SCRIPT FIFO`: a bench whose peer is at work for a minute. WAY is `asked`, for a peer that
 * works when it is asked to, `once`, for one that does all in one go, or `part`, for one of a part of the bench. SPATIALSV_PYTHON names
 * a Python that passes for one with torch.
 */
const { endWithParent } = require('../end-with-parent.ts');
const { openPeer } = require('../pytorch-peer.ts');
const { runNode, runPython } = require('../process.ts');

const ways = {
  asked: async (script, settings) => (await openPeer(script, settings)).run(),
  once: runPython,
  part: (script, settings) => runNode(__filename, { script, settings }),
};

function main([given, script, fifo]) {
  if (given in ways) return ways[given](script, { way: given, fifo });
  endWithParent();
  const part = JSON.parse(given);
  return runPython(part.script, part.settings);
}

void main(process.argv.slice(2));
