/**
 * `readers.cjs FOLDER COUNT`: reads a store from this thread and from a worker until both have found COUNT sound view sets,
 * and prints how many each has found.
 */
const { writeSync } = require('node:fs');
const { isMainThread, parentPort, Worker, workerData } = require('node:worker_threads');
const { LabelStore } = require('../label-store.ts');

async function readAll({ folder, count }) {
  const store = await LabelStore.open(folder, { readOnly: true });
  const sound = new Set();
  while (sound.size < count) {
    for (const key of store.keys()) {
      const problem = sound.has(key) ? undefined : store.verify(key);
      if (problem !== undefined) throw new Error(problem);
      sound.add(key);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await store.close();
  return sound.size;
}

async function main([folder, count]) {
  const request = { folder, count: Number(count) };
  const worker = new Worker(__filename, { workerData: request });
  const fromWorker = new Promise((resolve, reject) => {
    worker.on('message', resolve).on('error', reject);
  });
  const sizes = await Promise.all([readAll(request), fromWorker]);
  writeSync(1, `${sizes.join(' ')}\n`);
}

if (isMainThread) main(process.argv.slice(2));
else readAll(workerData).then((size) => parentPort.postMessage(size));
