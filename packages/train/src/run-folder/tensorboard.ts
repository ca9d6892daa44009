import { appendFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { StepMetrics } from './metrics-log.js';

/**
 * Scalars of a run as TensorBoard reads them: an event file, records of protocol buffers.
 * Source: tensorflow/core/util/event.proto, framework/summary.proto, lib/io/record_writer.
 */
export class EventFile {
  readonly #file: string;

  private constructor(file: string) {
    this.#file = file;
  }

  /**
   * Begins a file in a run folder.
   * @param from first step that follows; what older files of the folder hold of it and later steps is dropped by TensorBoard.
   */
  static async create(out: string, from: number): Promise<EventFile> {
    const seconds = Date.now() / 1000;
    const id = String(Math.floor(seconds)).padStart(10, '0');
    const name = `events.out.tfevents.${id}.${hostname()}.${process.pid}.${from}`;
    const events = new EventFile(join(out, name));
    // A reader wants the version first, and takes a session that starts at a step for a restart from there.
    await events.#append([encodeEvent(seconds, 0, bytes(3, Buffer.from('brain.Event:2')))]);
    await events.#append([encodeEvent(seconds, from, bytes(7, varint(1, 1)))]);
    return events;
  }

  /** Appends the numbers of a step; those that are null or not finite are left out. */
  async write(metrics: StepMetrics): Promise<void> {
    const values = Object.entries(scalarsOf(metrics)).flatMap(([tag, value]) =>
      value === null || !Number.isFinite(value) ? [] : [scalar(tag, value)],
    );
    await this.#append([encodeEvent(Date.now() / 1000, metrics.step, bytes(5, ...values))]);
  }

  #append(events: readonly Buffer[]): Promise<void> {
    return appendFile(this.#file, Buffer.concat(events.map(encodeRecord)));
  }
}

/** Metrics by tag: `loss/text`, `rate/language-model`, `held-out/accuracy`, … */
function scalarsOf(metrics: StepMetrics): Readonly<Record<string, number | null>> {
  const { losses, learningRates, heldOut, gradients } = metrics;
  const { teachers } = metrics;
  const cosines = Object.entries(gradients?.cosineWithText ?? {});
  return {
    ...tagged('loss', losses),
    ...tagged('weight', metrics.termWeights ?? {}),
    ...tagged('rate', learningRates),
    'gradient/norm': metrics.gradientNorm,
    'speed/samplesPerSecond': metrics.samplesPerSecond,
    'speed/tokensPerSecond': metrics.tokensPerSecond,
    'speed/waitedSeconds': metrics.waitedSeconds,
    ...tagged('gradient/share', gradients?.share ?? {}),
    ...Object.assign({}, ...cosines.map(([group, by]) => tagged(`gradient/cosine/${group}`, by))),
    ...tagged('samples', { skipped: metrics.skipped ?? null }),
    ...tagged('teachers', { ...teachers }),
    ...(heldOut && {
      ...tagged('held-out/teachers', { ...heldOut.teachers }),
      ...tagged('held-out/loss', heldOut.losses),
      'held-out/accuracy': heldOut.accuracy,
      'held-out/depthRmse': heldOut.depthRmse,
    }),
  };
}

const tagged = (prefix: string, values: Readonly<Record<string, number | null>>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}/${name}`, value]));

// Fields of protocol buffers: tag = number · 8 + wire type (0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes).

function varint(field: number, value: number): Buffer {
  return Buffer.concat([varintBytes(field * 8), varintBytes(value)]);
}

function varintBytes(value: number): Buffer {
  const digits: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) digits.push((rest % 128) + 128);
  return Buffer.from([...digits, rest]);
}

function bytes(field: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([varintBytes(field * 8 + 2), varintBytes(content.length), content]);
}

function double(field: number, value: number): Buffer {
  const content = Buffer.alloc(9, field * 8 + 1);
  content.writeDoubleLE(value, 1);
  return content;
}

function float(field: number, value: number): Buffer {
  const content = Buffer.alloc(5, field * 8 + 5);
  content.writeFloatLE(value, 1);
  return content;
}

/** Summary.Value: tag = 1, simple_value = 2, in Summary.value = 1. */
const scalar = (tag: string, value: number): Buffer =>
  bytes(1, bytes(1, Buffer.from(tag)), float(2, value));

/** Event: wall_time = 1, step = 2, and one of file_version = 3, summary = 5, session_log = 7. */
const encodeEvent = (seconds: number, step: number, what: Buffer): Buffer =>
  Buffer.concat([double(1, seconds), varint(2, step), what]);

/** A record: length (8 bytes), its checksum, the data, their checksum. */
function encodeRecord(data: Buffer): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(data.length));
  return Buffer.concat([length, maskedChecksum(length), data, maskedChecksum(data)]);
}

/** CRC-32C, rotated by 15 bits and shifted by a constant, so that it differs from that of data which hold one. */
export function maskedChecksum(data: Uint8Array): Buffer {
  const crc = crc32c(data);
  const masked = (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
  const result = Buffer.alloc(4);
  result.writeUInt32LE(masked);
  return result;
}

/** Castagnoli polynomial, reflected. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = TABLE[(crc ^ byte) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
