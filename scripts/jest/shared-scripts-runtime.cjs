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
 * Jest's runtime, but for one thing: a module is compiled once for all test files of a worker. Jest's own compiles every module
 * anew in every file. What is shared is code alone: each file runs all of its modules in its own context.
 */
class SharedScriptsRuntime extends JestRuntime {
  constructor(...args) {
    super(...args);
    const { executor } = this;
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
