import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Precision } from '@spatialsv/engine';
import { noPeer, openPeer } from './pytorch-peer.js';

/** `reference/bench_vfm.py` of the repository; absent in an installed package. */
const SCRIPT = fileURLToPath(new URL('../../../../reference/bench_vfm.py', import.meta.url));

/** Clones of the official repositories, from which the peer imports the models. */
const REFERENCES = { vggt: 'SPATIALSV_VGGT_REFERENCE', dav3: 'SPATIALSV_DAV3_REFERENCE' } as const;

export interface VfmPeerSettings {
  readonly family: keyof typeof REFERENCES;
  /** A released model, or `small`: the tiny one of the same structure. */
  readonly variant: string;
  /** Folder with `model.safetensors` and `config.json`. */
  readonly weights: string;
  /** Raw float32 of `shape`. */
  readonly images: string;
  readonly shape: readonly number[];
  /** Where the peer writes its depth, raw float32. */
  readonly depth: string;
  /** Where PyTorch runs: `cpu`, `cuda` or `cuda:1`. */
  readonly device: string;
  /** Of products, under autocast; `float32` leaves PyTorch as it is. */
  readonly precision: Precision;
}

export interface PeerRun {
  readonly ms: number;
  readonly peak_rss_mb: number;
  readonly anonymous_mb: number;
  /** Of tensors on a GPU; of all resident memory on the CPU. */
  readonly peak_mb: number;
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
 * @returns undefined, with a line on stderr, where the folder of the official code is not named, or without Python and torch.
 * @throws Error with what the peer said where it ended.
 */
export async function openVfmPeer(settings: VfmPeerSettings): Promise<VfmPeer | undefined> {
  const variable = REFERENCES[settings.family];
  const reference = process.env[variable];
  if (reference === undefined)
    return noPeer(`${variable} names no clone of the official repository`);
  const peer = await openPeer<PeerRun>(SCRIPT, { ...settings, reference: path.resolve(reference) });
  return (
    peer && {
      run: peer.run,
      depth: () => new Float32Array(new Uint8Array(readFileSync(settings.depth)).buffer),
      close: peer.close,
    }
  );
}
