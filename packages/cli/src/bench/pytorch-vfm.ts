import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { python } from './python.js';

/** `reference/bench_vfm.py` of the repository; absent in an installed package. */
const SCRIPT = fileURLToPath(new URL('../../../../reference/bench_vfm.py', import.meta.url));

/** Folders of the official repositories, from which the peer imports the models. */
const REFERENCES = { vggt: 'SPATIALSV_VGGT_REFERENCE', dav3: 'SPATIALSV_DAV3_REFERENCE' } as const;

export interface PeerSettings {
  readonly family: keyof typeof REFERENCES;
  readonly variant: string;
  /** safetensors file. */
  readonly weights: string;
  /** Raw float32 of `shape`. */
  readonly images: string;
  readonly shape: readonly number[];
  /** Where the peer writes its depth, raw float32. */
  readonly depth: string;
  /** Where PyTorch runs: `cpu`, `cuda` or `cuda:1`. */
  readonly device: string;
}

export interface PeerRun {
  readonly ms: number;
  readonly peak_rss_mb: number;
  readonly anonymous_mb: number;
}

/** The official model in a Python process of its own. */
export interface VfmPeer {
  run(): Promise<PeerRun>;
  /** Depth of the last run. */
  depth(): Float32Array;
  close(): Promise<void>;
}

/**
 * Starts the peer and waits until it has loaded its weights.
 * @returns undefined, with a line on stderr, where the folder of the official code is not named or Python fails.
 */
export async function openVfmPeer(settings: PeerSettings): Promise<VfmPeer | undefined> {
  const variable = REFERENCES[settings.family];
  const reference = process.env[variable];
  if (reference === undefined || !existsSync(SCRIPT)) {
    process.stderr.write(`no peer: ${variable} names no clone of the official repository\n`);
    return undefined;
  }
  const content = JSON.stringify({ ...settings, reference: path.resolve(reference) });
  const child = spawn(python(), [path.normalize(SCRIPT), content], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.once('error', (error) => process.stderr.write(`no peer: ${error.message}\n`));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => (await lines.next()).value as string | undefined;
  if ((await next()) === undefined) return undefined;
  return {
    async run() {
      child.stdin.write('run\n');
      const line = await next();
      if (line === undefined) throw new Error('the PyTorch peer ended; its message is above');
      return JSON.parse(line) as PeerRun;
    },
    depth: () => new Float32Array(new Uint8Array(readFileSync(settings.depth)).buffer),
    async close() {
      child.stdin.end();
      await ended;
    },
  };
}
