import { decodeImage, type RgbImage, readImageBytes } from '@spatialsv/core';
import { ByteCache } from '../data/byte-cache.js';
import { sha256 } from '../data/sha256.js';

/** Bytes of image files that are kept between hashing and decoding. */
const KEPT_BYTES = 1 << 29;

/**
 * Files of images, each read from the disk once: hashed first, which tells whether labels and features are there, and decoded
 * where they are not. Files that are too many to be kept meanwhile are read again.
 */
export class ImageFiles {
  readonly #bytes: ByteCache<Uint8Array>;
  readonly #hashes = new Map<string, string>();
  #reads = 0;

  constructor(keptBytes = KEPT_BYTES) {
    this.#bytes = new ByteCache(keptBytes, ({ byteLength }) => byteLength);
  }

  /** Files read so far. */
  get reads(): number {
    return this.#reads;
  }

  /** @throws SpatialError FILE_MISSING | FILE_INVALID | IMAGE_INVALID. */
  async hash(path: string): Promise<string> {
    const known = this.#hashes.get(path);
    if (known !== undefined) return known;
    const hash = sha256(await this.#read(path));
    this.#hashes.set(path, hash);
    return hash;
  }

  /** @throws SpatialError as {@link hash}, and IMAGE_INVALID for a file that cannot be decoded. */
  async decode(path: string): Promise<RgbImage> {
    return decodeImage(await this.#read(path), path);
  }

  #read(path: string): Promise<Uint8Array> {
    return this.#bytes.get(path, () => {
      this.#reads += 1;
      return readImageBytes(path);
    });
  }
}
