import type { Entry, ZipFile } from 'yauzl';
import { invalidRow, type ProblemListener } from './table-row.js';

/** A larger entry is no image of a question: refused before it is unpacked. */
const LARGEST_ENTRY = 512 * 2 ** 20;

/** An archive whose entries are read where they lie. */
export interface ZipArchive {
  readonly file: string;
  /** Name of the entry at a relative path, or at the same path below one top folder. */
  find(relative: string): string | undefined;
  /** @throws SpatialError DATA_INVALID for an entry that is damaged. */
  read(entry: string): Promise<Uint8Array>;
}

/**
 * Reads the table of contents. Entries with absolute paths or `..` are reported and left out.
 * @throws SpatialError DATA_INVALID for a file that is no whole archive.
 */
export async function openZip(file: string, onProblem: ProblemListener): Promise<ZipArchive> {
  const { getFileNameLowLevel, openPromise, validateFileName } = await import('yauzl');
  const damaged = (cause: unknown) =>
    invalidRow(file, 'not a whole zip archive', 'Download it again.', cause);
  const zip = await openPromise(file, OPTIONS).catch((cause: unknown) => {
    throw damaged(cause);
  });
  const entries = new Map<string, Entry>();
  try {
    for await (const entry of zip.eachEntry()) {
      const { generalPurposeBitFlag: flag, fileNameRaw, extraFields } = entry;
      const name = getFileNameLowLevel(flag, fileNameRaw, extraFields, false).replaceAll('\\', '/');
      const reason = validateFileName(name);
      if (reason === null) entries.set(name, entry);
      else onProblem(invalidRow(file, `entry '${name}' leaves the archive`, 'It is left out.'));
    }
  } catch (cause) {
    zip.close();
    throw damaged(cause);
  }
  const read = (name: string) => readEntry(zip, entries.get(name)!, `${file}:${name}`);
  return { file, find: finder(entries.keys()), read };
}

/** Names are decoded here: the library ends at the first one that leaves the archive. */
const OPTIONS = { lazyEntries: true, autoClose: false, decodeStrings: false };

/** By whole path first, then by the path below the archive's one top folder. */
function finder(names: Iterable<string>): (relative: string) => string | undefined {
  const all = new Set(names);
  const tops = new Set([...all].map((name) => name.split('/')[0]!));
  const top = tops.size === 1 ? [...tops][0] : undefined;
  return (relative) => {
    if (all.has(relative)) return relative;
    const below = top === undefined ? undefined : `${top}/${relative}`;
    return below !== undefined && all.has(below) ? below : undefined;
  };
}

async function readEntry(zip: ZipFile, entry: Entry, place: string): Promise<Uint8Array> {
  if (entry.uncompressedSize > LARGEST_ENTRY) {
    throw invalidRow(place, 'larger than 512 MiB', 'Unpack the archive and look at this entry.');
  }
  try {
    const stream = await zip.openReadStreamPromise(entry);
    const chunks: Uint8Array[] = [];
    for await (const chunk of stream) chunks.push(chunk as Uint8Array);
    return Buffer.concat(chunks);
  } catch (cause) {
    throw invalidRow(place, 'cannot be unpacked', 'Download the archive again.', cause);
  }
}
