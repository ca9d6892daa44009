import { type FileHandle, open } from 'node:fs/promises';

/** What a file is by its first bytes, whatever its name says. */
export interface FileKind {
  /** For messages, with an article: `a HEIC image`, `a web page`. */
  readonly name: string;
  /** Name of the format, where it is one of images. */
  readonly image?: string;
  /** What to do with it where something else is expected. */
  readonly hint?: string;
}

/** First bytes that tell a kind. */
export const KIND_BYTES = 512;

/** Name of a kind that is none of the known ones. */
export const UNKNOWN_KIND = 'a file of an unknown kind';

const DOWNLOAD = 'Download the file again: what lies here came instead of it.';
const UNPACK = 'Unpack it first.';
const CONVERT = 'Convert it to PNG or JPEG, for example with ImageMagick: `magick IN OUT.png`.';

const image = (format: string, hint?: string): FileKind => ({
  name: `${/^[AEFHILMNORSX][A-Z]|^[AEIOU]/.test(format) ? 'an' : 'a'} ${format} image`,
  image: format,
  ...(hint !== undefined && { hint }),
});

const HEIC = image(
  'HEIC',
  'Convert it, for example `heif-convert IN.heic OUT.jpg` or `magick IN.heic OUT.jpg`; phones export JPEG when asked to.',
);

/** Signatures in hexadecimal, `.` for any digit. */
const SIGNATURES: readonly (readonly [signature: string, kind: FileKind])[] = [
  ['ffd8ff', image('JPEG')],
  ['89504e470d0a1a0a', image('PNG')],
  ['474946383.61', image('GIF')],
  ['52494646........57454250', image('WebP')],
  ['49492a00', image('TIFF')],
  ['4d4d002a', image('TIFF')],
  ['49492b00', image('TIFF')],
  ['4d4d002b', image('TIFF')],
  ['424d', image('BMP', CONVERT)],
  ['0000000c6a502020', image('JPEG 2000', CONVERT)],
  ['ff4fff51', image('JPEG 2000', CONVERT)],
  ['0000000c4a584c20', image('JPEG XL', 'Convert it, for example `djxl IN.jxl OUT.png`.')],
  ['ff0a', image('JPEG XL', 'Convert it, for example `djxl IN.jxl OUT.png`.')],
  ['49492a0010000000435202', image('camera raw', CONVERT)],
  ['464f564262', image('camera raw', CONVERT)],
  ['38425053', image('Photoshop', CONVERT)],
  ['00000100', image('icon', CONVERT)],
  ['762f3101', image('OpenEXR', CONVERT)],
  ['233f52414449414e4345', image('HDR', CONVERT)],
  ['25504446', { name: 'a PDF document', hint: 'Export its pages as images.' }],
  ['504b0304', { name: 'a ZIP archive', hint: UNPACK }],
  ['1f8b', { name: 'a gzip archive', hint: 'Unpack it first: `gunzip FILE`.' }],
  ['425a68', { name: 'a bzip2 archive', hint: UNPACK }],
  ['fd377a585a00', { name: 'an xz archive', hint: UNPACK }],
  ['28b52ffd', { name: 'a Zstandard archive', hint: 'Unpack it first: `unzstd FILE`.' }],
  ['377abcaf271c', { name: 'a 7z archive', hint: UNPACK }],
  ['526172211a07', { name: 'a RAR archive', hint: UNPACK }],
  [
    '50415231',
    {
      name: 'a Parquet file',
      hint: 'Write it as JSON Lines: `pandas.read_parquet(IN).to_json(OUT, orient="records", lines=True)`.',
    },
  ],
  [
    '4152524f5731',
    {
      name: 'an Arrow file',
      hint: 'Write it as JSON Lines: `datasets.Dataset.from_file(IN).to_json(OUT)`.',
    },
  ],
  ['89484446', { name: 'an HDF5 file' }],
  ['53514c69746520666f726d6174', { name: 'an SQLite data base' }],
  ['47475546', { name: 'a GGUF file' }],
  [
    '934e554d5059',
    { name: 'a NumPy array', hint: 'Save it as PNG: `PIL.Image.fromarray(a).save(OUT)`.' },
  ],
  ['80', { name: 'a Python pickle' }],
  ['1a45dfa3', { name: 'a video', hint: 'Extract its frames: `ffmpeg -i IN frame-%04d.png`.' }],
  ['7f454c46', { name: 'a program' }],
];

/** Brands of files that are boxes (ISO 14496-12): `ftyp`, the main brand, then those it is compatible with. */
function boxKind(head: Buffer): FileKind | undefined {
  if (head.toString('latin1', 4, 8) !== 'ftyp') return undefined;
  const end = Math.min(head.readUInt32BE(0), head.length);
  const brands = head.toString('latin1', 8, end);
  if (/avif|avis/.test(brands)) return image('AVIF');
  if (/hei[cxms]|hev[cxms]|mif1|msf1/.test(brands)) return HEIC;
  if (/jp2 |jpx /.test(brands)) return image('JPEG 2000', CONVERT);
  return { name: 'a video', hint: 'Extract its frames: `ffmpeg -i IN frame-%04d.png`.' };
}

/** Of a byte: whether texts do not have it, as they have tabulators and line ends. */
const isControl = (byte: number): boolean => byte < 9 || (byte > 13 && byte < 32);

function textKind(head: Buffer): FileKind | undefined {
  if (head.length >= 2 && ['fffe', 'feff'].includes(head.toString('hex', 0, 2)))
    return { name: 'a text file' };
  const text = head.toString('utf8');
  // A character that the last byte cuts is no fault of the file.
  if (/\ufffd(?!$)/.test(text) || head.some(isControl)) return undefined;
  if (text.startsWith('version https://git-lfs'))
    return {
      name: 'a Git LFS pointer',
      hint: 'Fetch the file that it stands for: `git lfs pull`.',
    };
  if (/^\s*<(!doctype html|html)/i.test(text)) return { name: 'a web page', hint: DOWNLOAD };
  if (/^\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<svg/is.test(text))
    return { name: 'an SVG drawing', hint: 'Draw it as PNG: `rsvg-convert IN.svg -o OUT.png`.' };
  return { name: 'a text file' };
}

/** @param head the first {@link KIND_BYTES} of a file, or all of them. */
export function fileKind(head: Uint8Array): FileKind {
  if (head.byteLength === 0) return { name: 'an empty file', hint: DOWNLOAD };
  const bytes = Buffer.from(head.buffer, head.byteOffset, Math.min(head.byteLength, KIND_BYTES));
  const hex = bytes.toString('hex', 0, 16);
  const found = SIGNATURES.find(([signature]) => new RegExp(`^${signature}`).test(hex));
  // Short signatures may be the beginning of a text.
  const isShort = found !== undefined && found[0].length < 6;
  return (
    boxKind(bytes) ??
    (isShort ? textKind(bytes) : undefined) ??
    found?.[1] ??
    textKind(bytes) ?? { name: UNKNOWN_KIND }
  );
}

/** {@link fileKind} of a regular file. @throws errors of the system. */
export async function readFileKind(path: string): Promise<FileKind> {
  const handle = await open(path, 'r');
  try {
    return fileKind(await readHead(handle));
  } finally {
    await handle.close();
  }
}

async function readHead(handle: FileHandle): Promise<Uint8Array> {
  const head = new Uint8Array(KIND_BYTES);
  const { bytesRead } = await handle.read(head, 0, KIND_BYTES, 0);
  return head.subarray(0, bytesRead);
}
