import type { Control, ProbeKind, ProbeTask } from '@spatialsv/train';
import type { TargetOptions } from '../command-line/options.js';

/** What `spatialsv probe` is told. */
export interface ProbeOptions extends TargetOptions {
  readonly model: readonly string[];
  readonly data: string;
  readonly labels: string;
  readonly sites: string;
  readonly out: string;
  readonly task: readonly ProbeTask[];
  readonly evaluation?: readonly string[];
  readonly format?: string;
  readonly imageRoot?: string;
  readonly source?: string;
  readonly limit?: number;
  readonly probe: ProbeKind;
  readonly controls?: readonly Control[];
  readonly heldOut: number;
  readonly seeds: number;
  readonly seed: number;
  readonly steps: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly storedAs: 'float16' | 'float32';
  readonly store?: string;
  readonly minPixels?: number;
  readonly maxPixels?: number;
  readonly set?: Readonly<Record<string, string>>;
  readonly json: boolean;
}
