import { appendFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import protobuf from 'protobufjs';
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
    await events.#append({ wallTime: seconds, step: 0, fileVersion: 'brain.Event:2' });
    await events.#append({ wallTime: seconds, step: from, sessionLog: { status: START } });
    return events;
  }

  /** Appends the numbers of a step; those that are null or not finite are left out. */
  async write(metrics: StepMetrics): Promise<void> {
    const value = Object.entries(scalarsOf(metrics)).flatMap(([tag, simpleValue]) =>
      simpleValue === null || !Number.isFinite(simpleValue) ? [] : [{ tag, simpleValue }],
    );
    await this.#append({ wallTime: Date.now() / 1000, step: metrics.step, summary: { value } });
  }

  #append(event: Event): Promise<void> {
    return appendFile(this.#file, encodeRecord(eventType.encode({ ...event }).finish()));
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

/** The part of the two messages that is written. */
const descriptor = {
  nested: {
    Event: {
      oneofs: { what: { oneof: ['fileVersion', 'summary', 'sessionLog'] } },
      fields: {
        wallTime: { id: 1, type: 'double' },
        step: { id: 2, type: 'int64' },
        fileVersion: { id: 3, type: 'string' },
        summary: { id: 5, type: 'Summary' },
        sessionLog: { id: 7, type: 'SessionLog' },
      },
    },
    Summary: { fields: { value: { id: 1, type: 'Value', rule: 'repeated' } } },
    Value: {
      // Without it a zero would not be written, and read as no value.
      oneofs: { value: { oneof: ['simpleValue'] } },
      fields: { tag: { id: 1, type: 'string' }, simpleValue: { id: 2, type: 'float' } },
    },
    SessionLog: { fields: { status: { id: 1, type: 'int32' } } },
  },
};

const eventType = protobuf.Root.fromJSON(descriptor).lookupType('Event');

/** `SessionLog.SessionStatus.START`. */
const START = 1;

interface Event {
  readonly wallTime: number;
  readonly step: number;
  readonly fileVersion?: string;
  readonly summary?: {
    readonly value: readonly { readonly tag: string; readonly simpleValue: number }[];
  };
  readonly sessionLog?: { readonly status: number };
}

/** A record: length (8 bytes), its checksum, the data, their checksum. */
function encodeRecord(data: Uint8Array): Buffer {
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
