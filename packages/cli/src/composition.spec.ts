import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withTemporaryFolder } from '@spatialsv/core/testing';
import { composePlugins } from './composition.js';

it('keeps the benchmarks of eval where eval is a direct dependency', async () => {
  await withTemporaryFolder(async (folder) => {
    const dependencies = { '@spatialsv/eval': '*', '@spatialsv/vfm-synthetic': '*' };
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ dependencies }));
    const plugins = await composePlugins(folder);
    expect(plugins.resolveBenchmark('mindcube').id).toBe('mindcube');
    expect(plugins.resolveGeometryHead('dpt').id).toBe('dpt');
  });
});
