/** Bundles the script and the style of the report page, three.js included, into `dist/page`: nothing is fetched by a report. */
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const folder = fileURLToPath(new URL('..', import.meta.url));

await build({
  absWorkingDir: folder,
  entryPoints: ['src/page/main.ts', 'src/page/page.css'],
  outdir: 'dist/page',
  bundle: true,
  minify: true,
  format: 'iife',
  target: ['chrome111', 'firefox113', 'safari16.4'],
  legalComments: 'inline',
  charset: 'utf8',
  logLevel: 'warning',
  // Names of the workspace are read from their sources.
  conditions: ['@spatialsv/source'],
});
