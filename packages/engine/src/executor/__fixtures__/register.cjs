/** `node -r register.cjs script.cjs`: lets a plain Node process require the TypeScript sources. */
const { readFileSync } = require('node:fs');
const Module = require('node:module');
const { transformSync } = require('@swc/core');

require.extensions['.ts'] = (module, filename) => {
  const { code } = transformSync(readFileSync(filename, 'utf8'), {
    filename,
    swcrc: false,
    module: { type: 'commonjs' },
    jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
  });
  module._compile(code, filename);
};

const resolve = Module._resolveFilename;
Module._resolveFilename = function (request, parent, ...rest) {
  const fromSource = parent?.filename?.endsWith('.ts') && request.startsWith('.');
  const name = fromSource ? request.replace(/\.js$/, '.ts') : request;
  return resolve.call(this, name, parent, ...rest);
};
