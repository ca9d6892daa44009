/** Maps a file before anything else of the executor is used, then loads ONNX Runtime. */
const { FileMapping } = require('../file-mapping.ts');
const { executorInfo } = require('../index.ts');

const mapping = new FileMapping(__filename);
const { size } = mapping;
mapping.close();
console.log(JSON.stringify({ size: size > 0, providers: executorInfo().providers.length > 0 }));
