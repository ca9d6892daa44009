const vm = require('node:vm');
const { default: JestRuntime } = require('jest-runtime');

/** What this worker has compiled, by parameters and file: the source text, and its script. */
const compiled = new Map();

/** The script of a module: V8 keeps the functions that one context has compiled for the next one. */
function scriptOf(source, filename, parameters) {
  const key = `${parameters}:${filename}`;
  const known = compiled.get(key);
  if (known?.source === source) return known.script;
  const head = `(function (${parameters}) {`;
  // Columns of the first line stay those of the file.
  const script = new vm.Script(`${head}${source}\n})`, { filename, columnOffset: -head.length });
  compiled.set(key, { source, script });
  return script;
}

/**
 * Node's class of this name, for tests that run one after the other. Jest keeps the test under way in one; in Node 20 every
 * promise that is awaited meanwhile takes three times as long.
 */
class AsyncLocalStorage {
  #store;

  getStore() {
    return this.#store;
  }

  run(store, callback) {
    const before = this.#store;
    const restore = () => {
      this.#store = before;
    };
    this.#store = store;
    let result;
    try {
      result = callback();
    } finally {
      if (typeof result?.then !== 'function') restore();
    }
    return typeof result?.then === 'function' ? result.finally(restore) : result;
  }
}

/**
 * Jest's runtime, but for two things. A module is compiled once for all test files of a worker, where Jest's own compiles every
 * module anew in every file; what is shared is code alone: each file runs all of its modules in its own context. And Jest itself,
 * not what it tests, keeps the test under way without hooks on promises.
 */
class SharedScriptsRuntime extends JestRuntime {
  #isLoadingJest = false;

  requireInternalModule(...args) {
    const outer = this.#isLoadingJest;
    this.#isLoadingJest = true;
    try {
      return super.requireInternalModule(...args);
    } finally {
      this.#isLoadingJest = outer;
    }
  }

  constructor(...args) {
    super(...args);
    const { executor, coreModule } = this;
    const requireCore = coreModule.require.bind(coreModule);
    coreModule.require = (name) => {
      const found = requireCore(name);
      const isReplaced = this.#isLoadingJest && name === 'node:async_hooks';
      return isReplaced ? { ...found, AsyncLocalStorage } : found;
    };
    const compileAlone = executor.compile.bind(executor);
    executor.compile = (source, filename) => {
      const context = executor.environment.getVmContext();
      if (context === null) return null;
      let script;
      try {
        script = scriptOf(source, filename, executor.injectedModuleParameters);
      } catch {
        // Jest tells of a wrong syntax in its own way.
        return compileAlone(source, filename);
      }
      return script.runInContext(context);
    };
  }
}

module.exports = SharedScriptsRuntime;
