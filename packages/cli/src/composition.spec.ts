import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BackboneAdapterV1 } from '@spatialsv/core/spec';
import { withTemporaryFolder } from '@spatialsv/core/testing';
import { composePlugins, FIRST_PARTY } from './composition.js';

it('names every plugin of the project with all that it gives', async () => {
  await withTemporaryFolder(async (folder) => {
    const { plugins, notInstalled } = await composePlugins(folder);
    expect([plugins.rejected, notInstalled]).toEqual([[], []]);
    for (const { name, gives } of FIRST_PARTY) {
      const { contributions } = plugins.loaded.find((plugin) => plugin.name === name)!;
      const adapters = contributions.filter(({ kind }) => kind === 'backbone-adapter');
      const ids = contributions.map(({ id }) => id);
      expect(gives).toEqual(expect.arrayContaining(ids));
      for (const model_type of gives.filter((id) => !ids.includes(id))) {
        const accepting = adapters.filter((adapter) =>
          (adapter as BackboneAdapterV1).accepts({ model_type }),
        );
        expect([model_type, accepting.length]).toEqual([model_type, 1]);
      }
    }
  });
});

it('keeps the benchmarks of eval where eval is a direct dependency', async () => {
  await withTemporaryFolder(async (folder) => {
    const dependencies = { '@spatialsv/eval': '*', '@spatialsv/vfm-synthetic': '*' };
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ dependencies }));
    const plugins = await composePlugins(folder);
    expect(plugins.resolveBenchmark('mindcube').id).toBe('mindcube');
    expect(plugins.resolveGeometryHead('dpt').id).toBe('dpt');
  });
});
