import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  type CudaReport,
  compile,
  cudaReport,
  float32,
  type Precision,
  tf,
} from '@spatialsv/engine';

export interface DeviceReport {
  readonly device: string;
  readonly works: boolean;
  /** Why it does not work, and how to get it. */
  readonly reason?: string;
  readonly hint?: string;
  /** Whether the device `webgpu`, where it works, computes in float16 too. */
  readonly float16?: boolean;
  /** What the device `cuda` needs, and what of it was found. */
  readonly cuda?: CudaReport;
}

const PROBE_LIMIT_MS = 60_000;
const CHILD = new URL('./device-probe-main.js', import.meta.url);

/**
 * Runs a small program on a device. A child process does it where the program is built, because a faulty driver may end
 * the process that opens it.
 */
export async function probeDevice(device: string): Promise<DeviceReport> {
  const child = fileURLToPath(CHILD);
  if (!existsSync(child)) return runProbe(device);
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [child, device], {
      timeout: PROBE_LIMIT_MS,
    });
    return JSON.parse(stdout.slice(stdout.lastIndexOf('\n{') + 1)) as DeviceReport;
  } catch (error) {
    const { killed, signal, code } = error as { killed?: boolean; signal?: string; code?: number };
    const how = killed
      ? `did not answer in ${PROBE_LIMIT_MS / 1000} s`
      : `ended with ${signal ?? code}`;
    const hint =
      'The driver of this device is missing or faulty: update it, or use another device.';
    return { device, works: false, reason: `the process that opened it ${how}`, hint };
  }
}

/** The probe itself: what was found of the device, and 2·x + 1 through a compiled program. */
export async function runProbe(device: string): Promise<DeviceReport> {
  const report = await compute(device);
  if (device === 'webgpu' && report.works)
    return { ...report, float16: (await compute(device, 'float16')).works };
  return device === 'cuda' ? { ...report, cuda: cudaReport() } : report;
}

async function compute(device: string, precision: Precision = 'float32'): Promise<DeviceReport> {
  try {
    const program = await compile(
      ({ x }) => ({ y: tf.add(tf.mul(x, 2), 1) }),
      { x: float32(3) },
      { device, precision, name: 'probe' },
    );
    const { y } = await program.run({ x: Float32Array.of(1, 2, 3) });
    const values = Array.from(await y.read());
    await program.dispose();
    if (values.join() === '3,5,7') return { device, works: true };
    return {
      device,
      works: false,
      reason: `2 · (1, 2, 3) + 1 gave (${values.join(', ')})`,
      hint: 'The driver of this device computes wrongly: update it, or use another device.',
    };
  } catch (error) {
    const { message, hint } = error as { message: string; hint?: string };
    return { device, works: false, reason: message, ...(hint !== undefined && { hint }) };
  }
}
