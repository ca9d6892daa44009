/** What benchmarks are built with: tables and media of their files, options, scores, and figures over scored answers. */

export { mindCubePrompt, mindCubeSetting } from '../data/mindcube.js';
export { multipleChoicePrompt } from '../data/mmbench.js';
export { splitInlineOptions } from '../data/options.js';

export { decodeBase64 } from './base64.js';
export {
  accuracyColumn,
  answersBy,
  type Column,
  categoryColumns,
  groupedAnswers,
  macroReport,
  meanOfColumns,
  microReport,
  scoreColumn,
} from './combine.js';
export { readDelimited } from './delimited.js';
export { keepBytes } from './kept-bytes.js';
export { MediaFinder, type MediaPlaces } from './media.js';
export { columnOptions, isMissing, leadingLetter, listedOptions } from './options.js';
export { readParquet } from './parquet.js';
export { parsePythonLiteral } from './python-literal.js';
export { findQuestions, folderOf, questionsOf } from './questions.js';
export { readTable } from './read-table.js';
export { exactScore, firstNumber, meanRelativeAccuracy, partialMatch } from './scores.js';
export {
  describeValue,
  invalidRow,
  type ProblemListener,
  type TableRow,
  textOf,
  textsOf,
} from './table-row.js';
