import { SpatialError } from '../errors.js';
import { hashFile } from '../hash-files.js';
import { readImage, readImageHeader } from '../images/index.js';
import type { LabelledImage } from '../label-store/index.js';

/** What a label store notes of images. A file is looked at once, however many view sets it belongs to. */
export interface ImageFacts {
  /** SHA-256 of a file when it was first asked for. @throws SpatialError FILE_MISSING | FILE_INVALID. */
  hash(path: string): Promise<string>;
  /**
   * Looks at the header of an image: what it tells is known before anything is labelled.
   * @throws SpatialError FILE_MISSING | FILE_INVALID | IMAGE_INVALID.
   */
  look(path: string): Promise<void>;
  /**
   * Decodes each image in turn, so that a broken file is found whether or not a source looks at its pixels.
   * @throws SpatialError FILE_MISSING | FILE_INVALID | IMAGE_INVALID.
   */
  describe(paths: readonly string[]): Promise<LabelledImage[]>;
  /**
   * Reads files again: what a source made of them belongs to the hashes only if nobody has replaced them meanwhile.
   * @throws SpatialError DATA_INVALID | FILE_MISSING | FILE_INVALID.
   */
  requireUnchanged(paths: readonly string[]): Promise<void>;
}

export const createImageFacts = (): ImageFacts => {
  const hashes = new Map<string, Promise<string>>();
  const sizes = new Map<string, Promise<Pick<LabelledImage, 'width' | 'height'>>>();
  const hash = (path: string) => remember(hashes, path, () => hashFile(path));
  const looks = new Map<string, Promise<void>>();
  const look = (path: string) =>
    remember(looks, path, () => readImageHeader(path).then(() => undefined));
  const describe = async (paths: readonly string[]) => {
    const images: LabelledImage[] = [];
    for (const path of paths) {
      const size = await remember(sizes, path, () => sizeOf(path));
      images.push({ path, sha256: await hash(path), ...size });
    }
    return images;
  };
  const requireUnchanged = async (paths: readonly string[]) => {
    for (const path of paths)
      if ((await hashFile(path)) !== (await hash(path))) throw changed(path);
  };
  return { hash, look, describe, requireUnchanged };
};

const remember = <Value>(
  known: Map<string, Promise<Value>>,
  path: string,
  find: () => Promise<Value>,
): Promise<Value> => {
  const found = known.get(path) ?? find();
  known.set(path, found);
  return found;
};

const sizeOf = async (path: string): Promise<Pick<LabelledImage, 'width' | 'height'>> => {
  const { width, height } = await readImage(path);
  return { width, height };
};

const changed = (path: string): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `${path}: the file was replaced while its labels were made`,
    hint: 'Nothing was stored for it. Label again once the images no longer change.',
  });
