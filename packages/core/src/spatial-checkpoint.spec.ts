import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dptGeometryHead } from './heads/index.js';
import { readSpatialCheckpoint, writeSpatialCheckpoint } from './spatial-checkpoint.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spatial-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('spatial checkpoint', () => {
  it('gives back what was written', async () => {
    const heads = await dptGeometryHead.configure({ preset: 'tiny', tasks: ['depth'] });
    const parameters = heads.initialise([8, 8, 8, 8], 3);
    const checkpoint = { taps: [1, 2, 3, 4], heads, featureChannels: 5, parameters };
    await writeSpatialCheckpoint(folder, checkpoint);
    const { headId, options } = heads;
    const expected = { ...checkpoint, heads: { headId, options } };
    expect(await readSpatialCheckpoint(folder)).toMatchObject(expected);
  });

  it('takes settings that name no head for those of dpt', async () => {
    const heads = await dptGeometryHead.configure({ preset: 'tiny' });
    await writeSpatialCheckpoint(folder, {
      taps: [1, 2, 3, 4],
      heads,
      featureChannels: 0,
      parameters: {},
    });
    const file = join(folder, 'spatialsv/settings.json');
    const { head, ...older } = JSON.parse(readFileSync(file, 'utf8'));
    expect(head).toBe('dpt');
    writeFileSync(file, JSON.stringify(older));
    const read = await readSpatialCheckpoint(folder);
    expect(read!.heads).toMatchObject({ headId: 'dpt', options: heads.options });
    writeFileSync(file, JSON.stringify({ ...older, head: 'linear' }));
    await expect(readSpatialCheckpoint(folder)).rejects.toMatchObject({ code: 'PLUGIN_UNKNOWN' });
  });

  it.each([3, 5])('refuses %i taps for heads that take four', async (count) => {
    const heads = await dptGeometryHead.configure({ preset: 'tiny' });
    const taps = Array.from({ length: count }, (_, i) => i);
    const checkpoint = { taps, heads, featureChannels: 0, parameters: {} };
    await writeSpatialCheckpoint(folder, checkpoint);
    await expect(readSpatialCheckpoint(folder)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(`take 4 tapped layers`),
    });
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
