import { open } from 'node:fs/promises';
import type { AsyncBuffer } from 'hyparquet';
import { SpatialError } from '../errors.js';
import { resolveFile } from '../files.js';
import { invalidRow, type TableRow } from './table-row.js';

/** Rows decoded at a time, where a file has larger groups. */
const ROWS = 256;

/**
 * Reads a Parquet file row by row, in the memory of a few hundred rows. Texts are strings, other bytes stay bytes.
 * @throws SpatialError FILE_MISSING; DATA_INVALID for a file that is damaged or incomplete.
 */
export async function* readParquet(path: string): AsyncGenerator<TableRow> {
  await resolveFile(path, 'Check the path.');
  const { parquetMetadataAsync, parquetReadObjects } = await import('hyparquet');
  const { compressors } = await import('hyparquet-compressors');
  const handle = await open(path);
  try {
    const { size } = await handle.stat();
    const file = bufferOf(handle, size);
    const metadata = await parquetMetadataAsync(file);
    const total = Number(metadata.num_rows);
    for (let rowStart = 0; rowStart < total; rowStart += ROWS) {
      const rowEnd = Math.min(total, rowStart + ROWS);
      const options = { file, metadata, rowStart, rowEnd, compressors, utf8: false };
      const rows = await parquetReadObjects(options);
      for (const [i, row] of rows.entries()) {
        const line = rowStart + i + 1;
        yield { value: plain(row) as TableRow['value'], line, place: `${path}:${line}` };
      }
    }
  } catch (cause) {
    if (SpatialError.isInstance(cause)) throw cause;
    const hint = 'Download it again: Parquet files cannot be read in part.';
    throw invalidRow(path, 'not a whole Parquet file', hint, cause);
  } finally {
    await handle.close();
  }
}

const bufferOf = (handle: Awaited<ReturnType<typeof open>>, size: number): AsyncBuffer => ({
  byteLength: size,
  async slice(start, end = size) {
    const from = start < 0 ? size + start : start;
    const bytes = new Uint8Array(Math.max(0, (end < 0 ? size + end : end) - from));
    await handle.read(bytes, 0, bytes.length, from);
    return bytes.buffer;
  },
});

/** Numbers instead of 64-bit integers, as in JSON. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  if (value instanceof Date) return value.toISOString();
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
}
