import path from 'node:path';
import { readJsonLines } from '../data/json-lines.js';
import { SpatialError } from '../errors.js';
import { readDelimited } from './delimited.js';
import { readParquet } from './parquet.js';
import type { ProblemListener, TableRow } from './table-row.js';

/**
 * Rows of a file by its ending: `.json` (one list, or JSON Lines), `.jsonl`, `.tsv`, `.csv` or `.parquet`.
 * @param onProblem takes the errors of single rows. @throws SpatialError FILE_MISSING, DATA_INVALID.
 */
export function readTable(file: string, onProblem: ProblemListener): AsyncIterable<TableRow> {
  const ending = path.extname(file).toLowerCase();
  if (ending === '.tsv') return readDelimited(file, '\t', onProblem);
  if (ending === '.csv') return readDelimited(file, ',', onProblem);
  if (ending === '.parquet') return readParquet(file);
  if (ending === '.jsonl' || ending === '.json') return readJsonLines(file, onProblem);
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `${file}: expected a file that ends in .json, .jsonl, .tsv, .csv or .parquet, found ${ending || 'no ending'}`,
    hint: 'Name the file as its authors published it.',
  });
}
