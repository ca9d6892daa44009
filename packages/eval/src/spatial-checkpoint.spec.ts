import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initialiseHeads, parseHeadsConfig } from '@spatialsv/core';
import { readSpatialCheckpoint, writeSpatialCheckpoint } from './spatial-checkpoint.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spatial-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('spatial checkpoint', () => {
  it('gives back what was written', async () => {
    const heads = parseHeadsConfig({ preset: 'tiny', tasks: ['depth'] });
    const parameters = initialiseHeads(heads, [8, 8, 8, 8], 3);
    const checkpoint = { taps: [1, 2, 3, 4], heads, featureChannels: 5, parameters };
    await writeSpatialCheckpoint(folder, checkpoint);
    expect(await readSpatialCheckpoint(folder)).toEqual(checkpoint);
  });

  it('is absent in a plain checkpoint', async () => {
    expect(await readSpatialCheckpoint(folder)).toBeUndefined();
  });

  it.each(['{', '{"version":2}'])('refuses settings that it cannot read: %s', async (text) => {
    mkdirSync(join(folder, 'spatialsv'));
    writeFileSync(join(folder, 'spatialsv/settings.json'), text);
    await expect(readSpatialCheckpoint(folder)).rejects.toMatchObject({ code: 'FILE_INVALID' });
  });
});
