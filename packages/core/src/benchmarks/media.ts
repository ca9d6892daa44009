/** Where the images and videos of a benchmark lie: in folders, or still in the archives in which they were downloaded. */
import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { BenchmarkImageV1 } from '../spec.js';
import { invalidRow, type ProblemListener } from './table-row.js';
import { openZip, type ZipArchive } from './zip.js';

export interface MediaPlaces {
  /** Folders below the root that paths may be relative to, `.` for the root itself; the first that fits is taken. */
  readonly folders?: readonly string[];
  /** Archives in the root; all of them where absent. */
  readonly archives?: readonly string[];
}

/** Finds media by the relative paths that the rows of a benchmark name. */
export class MediaFinder {
  readonly #folders: readonly string[];
  readonly #archives: readonly ZipArchive[];
  readonly #listings = new Listings();

  private constructor(folders: readonly string[], archives: readonly ZipArchive[]) {
    this.#folders = folders;
    this.#archives = archives;
  }

  /** @param onProblem is told of entries that an archive should not have. */
  static async open(
    root: string,
    { folders = ['.'], archives }: MediaPlaces,
    onProblem: ProblemListener,
  ): Promise<MediaFinder> {
    const names =
      archives ?? (await readdir(root)).filter((name) => name.toLowerCase().endsWith('.zip'));
    const opened: ZipArchive[] = [];
    for (const name of names.toSorted()) {
      const file = path.join(root, name);
      if (await isFile(file)) opened.push(await openZip(file, onProblem));
    }
    return new MediaFinder(
      folders.map((folder) => path.resolve(root, folder)),
      opened,
    );
  }

  /**
   * @param place of the row, for messages.
   * @throws SpatialError DATA_INVALID for a path that leaves the benchmark's folder, or where nothing lies.
   */
  async image(relative: string, place: string): Promise<BenchmarkImageV1> {
    const file = await this.file(relative, place, true);
    if (file !== undefined) return { name: file, source: file };
    for (const archive of this.#archives) {
      const entry = archive.find(normalised(relative));
      if (entry !== undefined)
        return { name: `${archive.file}:${entry}`, source: () => archive.read(entry) };
    }
    throw this.#missing(relative, place);
  }

  /** Absolute path of a file outside of archives. @throws as {@link image}, unless it may be missing. */
  async file(relative: string, place: string): Promise<string>;
  async file(relative: string, place: string, mayBeMissing: boolean): Promise<string | undefined>;
  async file(relative: string, place: string, mayBeMissing = false): Promise<string | undefined> {
    const inside = normalised(relative);
    if (path.isAbsolute(inside) || inside.split('/').includes('..')) {
      throw invalidRow(
        place,
        `path '${relative}' leaves the folder of the benchmark`,
        'Paths in rows are relative to the benchmark; correct this one.',
      );
    }
    for (const folder of this.#folders) {
      const file = path.join(folder, inside);
      if (await this.#listings.hasFile(file)) return file;
    }
    if (mayBeMissing) return undefined;
    throw this.#missing(relative, place);
  }

  #missing(relative: string, place: string) {
    const archives = this.#archives.map(({ file }) => file);
    return invalidRow(
      place,
      `'${relative}' is not there (looked in ${[...this.#folders, ...archives].join(', ')})`,
      'Download the images of the benchmark beside its questions; archives may stay packed.',
    );
  }
}

const normalised = (relative: string): string =>
  path.posix.normalize(relative.replaceAll('\\', '/'));

const isFile = async (file: string): Promise<boolean> =>
  (await stat(file).catch(() => undefined))?.isFile() ?? false;

/** Entries by name; undefined for what is no folder. */
type Listing = ReadonlyMap<string, Dirent> | undefined;

/** Tells files from what is not there. Rows name thousands of images in few folders: each folder is listed once. */
class Listings {
  readonly #known = new Map<string, Promise<Listing>>();

  async hasFile(file: string): Promise<boolean> {
    const entries = await this.#of(path.dirname(file));
    if (entries === undefined) return false;
    // Links, and names of another letter case where the file system takes them, are the system's to tell.
    return entries.get(path.basename(file))?.isFile() === true || isFile(file);
  }

  #of(folder: string): Promise<Listing> {
    const listing = this.#known.get(folder) ?? list(folder);
    this.#known.set(folder, listing);
    return listing;
  }
}

async function list(folder: string): Promise<Listing> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined);
  return entries && new Map(entries.map((entry) => [entry.name, entry]));
}
