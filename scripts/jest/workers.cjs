const os = require('node:os');

/** Memory that a worker may need, with the largest models of the tests in it. */
const WORKER_BYTES = 3 * 2 ** 30;

/** As many workers as cores, where the memory allows it. */
const workers = Math.max(
  1,
  Math.min(os.availableParallelism(), Math.floor(os.totalmem() / WORKER_BYTES)),
);

/** Threads of ONNX Runtime in each of them, so that they do not take cores from each other. */
const threads = Math.max(1, Math.floor(os.availableParallelism() / workers));

module.exports = { workers, threads };
