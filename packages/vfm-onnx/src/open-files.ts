import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { parseJsonText, readText } from '@spatialsv/core/kit';
import { SpatialError } from '@spatialsv/core/spec';
import { MANIFEST_FILE, type Manifest, parseManifest } from './manifest.js';

/** Where a graph lies, and what is written about it. */
export interface Located {
  readonly graph: string;
  readonly manifest: Manifest;
}

const WHAT = `Give a folder with ${MANIFEST_FILE} or one .onnx file, the path of such a description, or the path of an .onnx file.`;

/**
 * Finds graph and description.
 * @param weights a folder, a description (.json) or a graph.
 * @throws SpatialError USAGE without a path, FILE_MISSING, FILE_INVALID, CONFIG_INVALID.
 */
export async function locate(weights: string | undefined): Promise<Located> {
  if (weights === undefined) {
    throw new SpatialError({
      code: 'USAGE',
      message: 'the source "onnx" needs a graph, found no path to one',
      hint: WHAT,
    });
  }
  const found = await kindOf(weights);
  if (found === 'folder') return fromFolder(weights);
  if (found === 'nothing') throw missing(weights, 'a folder or a file', 'nothing');
  return weights.endsWith('.json') ? fromManifest(weights) : fromGraph(weights);
}

const kindOf = async (place: string): Promise<'folder' | 'file' | 'nothing'> => {
  const found = await stat(place).catch(() => undefined);
  return found === undefined ? 'nothing' : found.isDirectory() ? 'folder' : 'file';
};

async function fromFolder(folder: string): Promise<Located> {
  const description = path.join(folder, MANIFEST_FILE);
  if ((await kindOf(description)) === 'file') return fromManifest(description);
  return { graph: await onlyGraph(folder), manifest: {} };
}

async function fromManifest(file: string): Promise<Located> {
  const manifest = await readManifest(file);
  const folder = path.dirname(file);
  if (manifest.graph === undefined) return { graph: await onlyGraph(folder), manifest };
  const graph = path.resolve(folder, manifest.graph);
  if ((await kindOf(graph)) === 'file') return { graph, manifest };
  throw missing(`${file}: "graph" names ${graph}`, 'a file', 'none');
}

/** The description beside a graph counts, and must be about this graph. */
async function fromGraph(graph: string): Promise<Located> {
  const description = path.join(path.dirname(graph), MANIFEST_FILE);
  if ((await kindOf(description)) !== 'file') return { graph, manifest: {} };
  const located = await fromManifest(description);
  if ((await realpath(located.graph)) === (await realpath(graph))) {
    return { graph, manifest: located.manifest };
  }
  throw new SpatialError({
    code: 'CONFIG_INVALID',
    message: `${description}: describes ${located.graph}, expected ${graph}`,
    hint: 'Give the path of a description of its own, with "graph": …, in place of the graph.',
  });
}

/** The one .onnx file of a folder, or of its folder `onnx`. */
async function onlyGraph(folder: string): Promise<string> {
  const places = [folder, path.join(folder, 'onnx')];
  const lists = await Promise.all(
    places.map(async (place) => {
      const names = await readdir(place).catch((): string[] => []);
      return names.filter((name) => name.endsWith('.onnx')).map((name) => path.join(place, name));
    }),
  );
  const graphs = lists.flat().sort();
  if (graphs.length === 1) return graphs[0]!;
  if (graphs.length === 0) throw missing(folder, 'an .onnx file', 'none');
  const names = graphs.map((graph) => path.relative(folder, graph)).join(', ');
  throw new SpatialError({
    code: 'CONFIG_INVALID',
    message: `${folder}: expected one .onnx file, found ${names}`,
    hint: `Give the path of one of them, or write ${MANIFEST_FILE} with "graph": ….`,
  });
}

/** A description has some hundred characters. */
const MAX_MANIFEST_BYTES = 1 << 20;

async function readManifest(file: string): Promise<Manifest> {
  const text = await readText(file, MAX_MANIFEST_BYTES);
  let value: unknown;
  try {
    value = parseJsonText(text);
  } catch (cause) {
    throw new SpatialError({
      code: 'FILE_INVALID',
      message: `${file}: expected JSON, found ${(cause as Error).message}`,
      hint: 'Correct the file; the README of @spatialsv/vfm-onnx has two complete examples.',
      cause,
    });
  }
  return parseManifest(value, file);
}

const missing = (place: string, expected: string, found: string): SpatialError =>
  new SpatialError({
    code: 'FILE_MISSING',
    message: `${place}: expected ${expected}, found ${found}`,
    hint: WHAT,
  });
