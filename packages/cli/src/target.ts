import { defaultPrecision, type Precision } from '@spatialsv/engine';
import type { TargetOptions } from './command-line/options.js';
import { packageVersion } from './version.js';

/** A target whose precision is decided. */
export interface Target {
  readonly device: string;
  readonly precision: Precision;
}

/** Where a command computes: in the precision that was asked for, or in that of the device. */
export const targetOf = ({ device, precision }: TargetOptions): Target => ({
  device,
  precision: precision ?? defaultPrecision(device),
});

/** What a report was made with. */
export const madeWith = ({ device, precision }: Target): string =>
  `spatialsv ${packageVersion()}, device ${device}, ${precision}`;
