const { threads } = require('./scripts/jest/workers.cjs');

process.env.SPATIALSV_THREADS ??= String(threads);
// No test depends on what this machine runs fastest: all go through the blocked layout where it has one.
process.env.SPATIALSV_KERNELS ??= 'blocked';

const swc = (syntax) => [
  '@swc/jest',
  {
    swcrc: false,
    // Packages are loaded where they are used first: most files use few of those that they could reach.
    module: { type: 'commonjs', lazy: true },
    jsc: { target: 'es2022', parser: { syntax } },
  },
];

/** Libraries that come as ES modules only. */
const ES_MODULES = [
  'hyparquet|hyparquet-compressors|hysnappy',
  // Of the glTF writer.
  'property-graph',
  // Vega, and what it needs.
  'vega[a-z-]*|d3-[a-z-]+|internmap|delaunator|robust-predicates|json-stringify-pretty-compact',
].join('|');

/** Shared Jest settings: ESM sources compiled to CommonJS by swc, workspace packages read from their sources. */
module.exports = {
  // Nothing that is asserted depends on speed: whatever takes so long is stuck, on any machine.
  testTimeout: 600_000,
  testMatch: ['<rootDir>/src/**/*.spec.ts'],
  testEnvironment: require.resolve('./scripts/jest/shared-realm-environment.cjs'),
  testEnvironmentOptions: { customExportConditions: ['@spatialsv/source', 'node', 'node-addons'] },
  transform: {
    '^.+\\.ts$': swc('typescript'),
    [`/node_modules/(?:${ES_MODULES})/.+\\.m?js$`]: swc('ecmascript'),
  },
  runtime: require.resolve('./scripts/jest/shared-scripts-runtime.cjs'),
  transformIgnorePatterns: [`/node_modules/(?!(?:${ES_MODULES})/)`],
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    // The build for Node awaits at its top level, which CommonJS cannot.
    '^vega-canvas$': '<rootDir>/../../node_modules/vega-canvas/build/vega-canvas.browser.js',
  },
};
