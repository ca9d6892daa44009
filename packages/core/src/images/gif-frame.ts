/** The first frame of a GIF in its image. */
export interface GifFrame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** RGB of pixels that are transparent or outside of the frame: that of the transparent index, or of index 0. */
  readonly hidden: readonly [number, number, number];
}

/** Where a block ends that lies at `at`: sub-blocks with their length before them, up to one of length 0. */
function skipSubBlocks(bytes: Uint8Array, at: number): number {
  let next = at;
  while ((bytes[next] ?? 0) !== 0) next += bytes[next]! + 1;
  return next + 1;
}

const EXTENSION = 0x21;
const GRAPHIC_CONTROL = 0xf9;
const HEAD = 13;
const FRAME_HEAD = 10;

/** Reads what decoders to RGBA lose (GIF89a specification, sections 18 to 23). @param bytes of a GIF that can be decoded. */
export function readGifFrame(bytes: Uint8Array): GifFrame {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const paletteBytes = (flags: number) => ((flags & 0x80) === 0 ? 0 : 3 << ((flags & 7) + 1));
  let at = HEAD + paletteBytes(bytes[10]!);
  let transparent = 0;
  while (bytes[at] === EXTENSION) {
    const isControl = bytes[at + 1] === GRAPHIC_CONTROL;
    if (isControl && (bytes[at + 3]! & 1) === 1) transparent = bytes[at + 6]!;
    at = skipSubBlocks(bytes, at + 2);
  }
  const [left, top, width, height] = [1, 3, 5, 7].map((offset) =>
    view.getUint16(at + offset, true),
  );
  const palette = paletteBytes(bytes[at + 9]!) > 0 ? at + FRAME_HEAD : HEAD;
  const [red, green, blue] = bytes.subarray(palette + 3 * transparent);
  const hidden = [red ?? 0, green ?? 0, blue ?? 0] as const;
  return { left: left!, top: top!, width: width!, height: height!, hidden };
}
