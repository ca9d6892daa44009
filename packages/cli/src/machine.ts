import os from 'node:os';

/** The processor, for people; virtual machines do not always tell it. */
export const processorModel = (): string => os.cpus()[0]?.model.trim() ?? 'unknown';
