const vm = require('node:vm');
const { TestEnvironment } = require('jest-environment-node');

/** Native add-ons check typed arrays with `instanceof`; Jest's own realm would give them foreign constructors. */
const SHARED = [
  'ArrayBuffer',
  'SharedArrayBuffer',
  'DataView',
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
];

/**
 * Runs `create` with contexts of `node:vm` that have an ordinary global object. The usual one asks a JavaScript proxy at every
 * mention of a global (`Math`, `Float32Array`), which makes loops over numbers 20 times as slow. Node before 22.8 has no other.
 */
function withOrdinaryGlobals(create) {
  const { createContext, constants } = vm;
  if (constants?.DONT_CONTEXTIFY === undefined) return create();
  vm.createContext = () => createContext(constants.DONT_CONTEXTIFY);
  try {
    return create();
  } finally {
    vm.createContext = createContext;
  }
}

class SharedRealmEnvironment extends TestEnvironment {
  async setup() {
    await super.setup();
    for (const name of SHARED) this.global[name] = globalThis[name];
  }
}

module.exports = new Proxy(SharedRealmEnvironment, {
  construct: (...args) => withOrdinaryGlobals(() => Reflect.construct(...args)),
});
