import { access } from 'node:fs/promises';
import type { Check } from './report.js';

/** A path where nothing is. */
export const absentCheck: Check = {
  kind: 'nothing',
  matches: async (path) => {
    const there = access(path).then(() => true);
    return !(await there.catch((error: NodeJS.ErrnoException) => error.code !== 'ENOENT'));
  },
  run: async (path) => ({
    ...{ kind: 'nothing', path, summary: 'nothing', facts: {}, passedOver: [] },
    findings: [
      {
        ...{ severity: 'error', code: 'FILE_MISSING', where: path, what: '' },
        ...{ expected: 'a file or folder', found: 'nothing' },
        hint: 'Check the path; relative paths start at the working folder.',
      },
    ],
  }),
};
