/** What the weights of a folder and the model that is to read them say about each other: every difference is a finding. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Finding } from '../finding.js';
import { type ForeignFolder, namesIn, recogniseQuantisation } from '../foreign-folder.js';
import { nearestName } from '../nearest-name.js';
import type { Shapes } from '../nn/index.js';
import type { SafetensorsReader } from '../safetensors/index.js';

export interface ComparedTensors {
  readonly reader: SafetensorsReader;
  /** Published name → name in the file. */
  readonly names: ReadonlyMap<string, string>;
  /** What the model reads, by published name. */
  readonly shapes: Shapes;
  readonly isUnread: (name: string) => boolean;
}

const RESTORE = 'Weights and config.json must come from the same checkpoint.';
const SHOWN_NAMES = 5;

/**
 * Differences in shape first: sizes that are those of another model also bring other names. Quantised weights differ in all of
 * these; they are one finding.
 */
export async function compareTensors(compared: ComparedTensors): Promise<readonly Finding[]> {
  const findings = [
    ...shapeFindings(compared),
    ...typeFindings(compared),
    ...missingFindings(compared),
    ...unexpectedFindings(compared),
  ];
  const folder = compared.reader.source;
  const quantised = await recogniseQuantisation(folder);
  if (quantised === undefined) return findings;
  const isRead = findings.every(({ severity }) => severity === 'warning');
  return isRead ? [plainWeights(folder), ...findings] : [quantisedWeights(folder, quantised)];
}

const quantisedWeights = (where: string, { what, hint }: ForeignFolder): Finding => ({
  severity: 'error',
  code: 'DTYPE_UNSUPPORTED',
  what: '',
  where,
  expected: 'weights in bfloat16, float16 or float32',
  found: what,
  hint,
});

const plainWeights = (folder: string): Finding => ({
  severity: 'warning',
  code: 'CONFIG_INVALID',
  what: 'config.json speaks of quantised weights, and the weights are plain ones: they are read as they are',
  where: folder,
  hint: 'Remove quantization_config from config.json if the weights were dequantised.',
});

function shapeFindings({ reader, names, shapes }: ComparedTensors): readonly Finding[] {
  return Object.entries(shapes).flatMap(([name, shape]): Finding[] => {
    const stored = names.get(name);
    const found = stored === undefined ? shape : reader.info(stored).shape;
    if (found.join() === shape.join()) return [];
    return [
      {
        severity: 'error',
        code: 'SHAPE_MISMATCH',
        what: name,
        where: reader.source,
        expected: `(${shape.join(', ')}) by config.json`,
        found: `(${found.join(', ')})`,
        hint: RESTORE,
      },
    ];
  });
}

const PLAIN_TYPES: readonly string[] = ['F32', 'F16', 'BF16'];

function typeFindings({ reader, names, shapes }: ComparedTensors): readonly Finding[] {
  return Object.keys(shapes).flatMap((name): Finding[] => {
    const stored = names.get(name);
    const found = stored === undefined ? 'F32' : reader.info(stored).dtype;
    if (PLAIN_TYPES.includes(found)) return [];
    return [
      {
        severity: 'error',
        code: 'DTYPE_UNSUPPORTED',
        what: name,
        where: reader.source,
        expected: 'F32, F16 or BF16',
        found,
        hint: 'Convert the checkpoint to bfloat16, float16 or float32.',
      },
    ];
  });
}

function missingFindings(compared: ComparedTensors): readonly Finding[] {
  const { reader, names, shapes } = compared;
  const missing = Object.keys(shapes).filter((name) => !names.has(name));
  if (missing.length === 0) return [];
  const unexpected = unexpectedNames(compared);
  const candidates = unexpected.length > 0 ? unexpected : [...names.keys()];
  return [
    {
      severity: 'error',
      code: 'WEIGHT_MISSING',
      what: '',
      where: reader.source,
      expected: `the tensor ${listed(missing)}`,
      found: 'none',
      hint: nearest(candidates, missing[0]!) + RESTORE,
    },
  ];
}

/** Low-rank updates that were not merged change what the model computes. */
const isLora = (name: string): boolean =>
  /\.(lora_[AB]|lora_embedding_[AB]|base_layer|modules_to_save)\b/.test(name);

/** A name with its numbers left open: layers of one kind are equal. */
const patternOf = (name: string): string => name.replace(/\d+/g, '#');

/**
 * A tensor of a kind that the model reads, in a layer that config.json has no place for, is an error: the sizes are wrong. One of
 * another kind, such as a value head, is passed over as `transformers` does.
 */
function unexpectedFindings(compared: ComparedTensors): readonly Finding[] {
  const { reader, shapes } = compared;
  const patterns = new Set(Object.keys(shapes).map(patternOf));
  const isMisplaced = (name: string) => patterns.has(patternOf(name)) || isLora(name);
  const unexpected = unexpectedNames(compared);
  const misplaced = unexpected.filter(isMisplaced);
  const foreign = unexpected.filter((name) => !isMisplaced(name));
  const finding = { code: 'WEIGHT_UNEXPECTED', where: reader.source } as const;
  const findings: Finding[] = [];
  if (misplaced.length > 0)
    findings.push({
      ...finding,
      severity: 'error',
      what: `found the tensor ${listed(misplaced)}, which config.json has no place for`,
      hint: misplacedHint(misplaced, Object.keys(shapes)),
    });
  if (foreign.length > 0)
    findings.push({
      ...finding,
      severity: 'warning',
      what: `found the tensor ${listed(foreign)}, which the model does not read: passed over`,
      hint: 'Nothing to do if another tool added it, as a value head is.',
    });
  return findings;
}

const unexpectedNames = ({ names, shapes, isUnread }: ComparedTensors): readonly string[] =>
  [...names.keys()].filter((name) => !Object.hasOwn(shapes, name) && !isUnread(name));

const misplacedHint = (misplaced: readonly string[], known: readonly string[]): string =>
  misplaced.some(isLora)
    ? 'Merge the low-rank updates into the model (merge_and_unload of `peft`) and save it again.'
    : `${nearest(known, misplaced[0]!)}Check the sizes in config.json. ${RESTORE}`;

function nearest(candidates: readonly string[], name: string): string {
  const near = nearestName(candidates, name);
  return near === undefined ? '' : `The nearest tensor is ${near}. `;
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, SHOWN_NAMES).join(', ');
  return names.length > SHOWN_NAMES ? `${shown} and ${names.length - SHOWN_NAMES} more` : shown;
}

// ---------------------------------------------------------------------------------------------- files passed over

const isWeights = (name: string): boolean =>
  /\.(safetensors|bin|pth?|gguf|msgpack|h5)$/.test(name) ||
  name.endsWith('.safetensors.index.json');

/** Weight files of the folder that are not read although they look as if they were. */
export async function passedOverIn(reader: SafetensorsReader): Promise<readonly Finding[]> {
  const read = new Set(reader.weightMap.values());
  const isSingle = read.size === 1 && read.has('model.safetensors');
  const names = (await namesIn(reader.source)).filter(
    (name) => isWeights(name) && !read.has(name) && (isSingle || !name.endsWith('.index.json')),
  );
  const rivals = names.filter((name) => /safetensors(\.index\.json)?$/.test(name));
  if (rivals.length === 0) return [];
  const newer = await newerThan(reader, rivals);
  return [
    {
      severity: 'warning',
      code: 'FILE_INVALID',
      what: `passed over ${listed(rivals)}${newer}: ${isSingle ? 'model.safetensors is read where it is there, as transformers does' : 'model.safetensors.index.json does not name it'}`,
      where: reader.source,
      hint: 'Remove the files of the other version.',
    },
  ];
}

async function newerThan(reader: SafetensorsReader, names: readonly string[]): Promise<string> {
  const timeOf = async (file: string) => (await stat(file).catch(() => undefined))?.mtimeMs ?? 0;
  const read = [...new Set([...reader.tensors.values()].map(({ file }) => file))];
  const newest = Math.max(...(await Promise.all(read.map(timeOf))));
  const others = names.map((name) => timeOf(path.join(reader.source, name)));
  return Math.max(...(await Promise.all(others))) > newest ? ', newer than what is read' : '';
}
