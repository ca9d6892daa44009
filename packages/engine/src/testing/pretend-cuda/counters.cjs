/** What the pretend libraries of CUDA have counted in this process, for scripts that run on them. */
const koffi = require('koffi');

/** @param report of `cudaReport()`, of the engine that the script uses: it has the libraries loaded. */
function openCounters({ libraries }) {
  const runtime = koffi.load(libraries.find(({ name }) => name.startsWith('libcudart')).file);
  const calls = runtime.func('long pretend_calls(const char *name)');
  const reset = runtime.func('void pretend_reset()');
  const counts = (names) => Object.fromEntries(names.map((name) => [name, calls(name)]));
  return {
    /** Calls, or `launch`, `product`, `HostToDevice` and the like, by their names. */
    counts,
    reset,
    /** Counts of a piece of work alone. */
    async counted(names, work) {
      reset();
      await work();
      return counts(names);
    },
    threads: runtime.func('int pretend_launching_threads()'),
    streams: runtime.func('int pretend_launching_streams()'),
    /** Bytes taken of the pretend GPUs. */
    liveBytes: runtime.func('long pretend_live_bytes()'),
    peakBytes: runtime.func('long pretend_peak_bytes()'),
    resetPeak: runtime.func('void pretend_reset_peak()'),
  };
}

module.exports = { openCounters };
