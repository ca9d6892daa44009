import { hashFile } from '../hash-files.js';
import { readImage } from '../images/index.js';
import type { LabelledImage } from '../label-store/index.js';

/** What a label store notes of images. Every file is read once, however many view sets it belongs to. */
export interface ImageFacts {
  /** @throws SpatialError FILE_MISSING | FILE_INVALID. */
  hash(path: string): Promise<string>;
  /**
   * Decodes each image in turn, so that a broken file is found whether or not a source looks at its pixels.
   * @throws SpatialError FILE_MISSING | FILE_INVALID | IMAGE_INVALID.
   */
  describe(paths: readonly string[]): Promise<LabelledImage[]>;
}

export const createImageFacts = (): ImageFacts => {
  const hashes = new Map<string, Promise<string>>();
  const sizes = new Map<string, Promise<Pick<LabelledImage, 'width' | 'height'>>>();
  const hash = (path: string) => remember(hashes, path, () => hashFile(path));
  const describe = async (paths: readonly string[]) => {
    const images: LabelledImage[] = [];
    for (const path of paths) {
      const size = await remember(sizes, path, () => sizeOf(path));
      images.push({ path, sha256: await hash(path), ...size });
    }
    return images;
  };
  return { hash, describe };
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
