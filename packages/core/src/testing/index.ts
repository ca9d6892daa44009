export { expectAllclose, type NumberArray, type Tolerance, toBeAllclose } from './allclose.js';
export { type Golden, readGolden } from './golden.js';
export { withTemporaryFolder } from './temporary-folder.js';
