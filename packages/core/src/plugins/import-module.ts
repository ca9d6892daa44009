import { pathToFileURL } from 'node:url';

/**
 * Imports a file as a module and gives its namespace.
 * @param file absolute path. Compiled to CommonJS, as test runners do, this takes what the runner's `require` takes.
 */
export const importModule = (file: string): Promise<Readonly<Record<string, unknown>>> => {
  const isCommonJs = typeof require === 'function';
  // A bare path is not importable on Windows, a file URL is not a module name for `require`.
  return import(isCommonJs ? file : pathToFileURL(file).href);
};
