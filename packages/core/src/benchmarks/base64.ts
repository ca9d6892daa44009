import { invalidRow } from './table-row.js';

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/**
 * Bytes of a base64 text, white space aside.
 * @param place of the row, for messages. @throws SpatialError DATA_INVALID.
 */
export function decodeBase64(text: string, place: string): Uint8Array {
  const packed = text.replace(/\s+/g, '');
  if (packed !== '' && packed.length % 4 !== 1 && BASE64.test(packed))
    return Buffer.from(packed, 'base64');
  throw invalidRow(
    place,
    'not an image in base64',
    'The cell may be cut: download the file again.',
  );
}
