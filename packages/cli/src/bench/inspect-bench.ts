import { LIFT_CASES } from './lift-bench.js';
import { PROBE_CASES } from './probe-bench.js';
import { REPORT_CASES } from './report-bench.js';

/** What looking at a model costs. Each part has a file of its own. */
export const INSPECT_CASES: Readonly<Record<string, () => Promise<void>>> = {
  ...LIFT_CASES,
  ...PROBE_CASES,
  ...REPORT_CASES,
};
