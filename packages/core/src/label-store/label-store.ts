import { canonicalJson } from '../canonical-json.js';
import { SpatialError } from '../errors.js';
import type { ProcessOwner } from '../process-owner.js';
import { checkStorableLabels } from './check-storable.js';
import { type Claim, DEFAULT_LEASE_MS, encodeClaim, isHeld, parseClaim } from './claims.js';
import {
  type OpenedTables,
  type OpenStoreOptions,
  openTables,
  type StoreTables,
  storeError,
} from './environment.js';
import {
  decodeLabels,
  encodeLabels,
  type LabelRecord,
  labelsDigest,
  parseRecord,
} from './label-value.js';
import type { LabelSummary, StoredLabels } from './types.js';

/** Keys that are read at once: no read transaction outlives its page, so a writer may free what it replaces. */
const KEY_PAGE = 1000;

/**
 * Labels of view sets in one folder, by {@link labelKey}. Several processes and worker threads may read while others
 * write; what {@link write} has reported is on the disk, and a process that is killed leaves no half entry.
 */
export class LabelStore {
  readonly folder: string;
  readonly readOnly: boolean;
  readonly #tables: OpenedTables;

  private constructor(folder: string, readOnly: boolean, tables: OpenedTables) {
    this.folder = folder;
    this.readOnly = readOnly;
    this.#tables = tables;
  }

  /**
   * Opens a store, or makes one in a folder that is empty or not there.
   * @throws SpatialError FILE_MISSING where there is nothing to read; DATA_INVALID for a folder that holds something else,
   *   a store of another version, a lost permission or a full disk.
   */
  static async open(folder: string, options: OpenStoreOptions = {}): Promise<LabelStore> {
    return new LabelStore(folder, options.readOnly ?? false, await openTables(folder, options));
  }

  // -------------------------------------------------------------------------------------------- read

  has(key: string): boolean {
    return this.#tables.records.doesExist(key);
  }

  /** Number of view sets. */
  get count(): number {
    return (this.#tables.records.getStats() as { entryCount: number }).entryCount;
  }

  /** Keys in their order. Entries that come or go meanwhile may be seen or not. */
  *keys(): Generator<string> {
    let page = this.#keyPage();
    while (page.length > 0) {
      yield* page;
      page = this.#keyPage(page.at(-1));
    }
  }

  #keyPage(after?: string): readonly string[] {
    const from = after === undefined ? {} : { start: after, exclusiveStart: true };
    return [...this.#tables.records.getKeys({ ...from, limit: KEY_PAGE })];
  }

  /**
   * What is known of labels without decoding their arrays.
   * @throws SpatialError DATA_INVALID for a damaged record.
   */
  summary(key: string): LabelSummary | undefined {
    const record = this.#record(key);
    if (record === undefined) return undefined;
    const { crc32: _, ...summary } = record;
    return { key, ...summary };
  }

  /**
   * Labels as they were written, but for the float16 rounding of depth, confidence and features.
   * @throws SpatialError DATA_INVALID when the checksum is wrong.
   */
  read(key: string): StoredLabels | undefined {
    // Both from one snapshot: nothing is awaited between them.
    const record = this.#record(key);
    if (record === undefined) return undefined;
    const value = this.#tables.values.getBinary(key);
    if (value !== undefined) return decodeLabels(value, record, this.#name(key));
    throw new SpatialError({
      code: 'DATA_INVALID',
      message: `${this.#name(key)}: the record is there, the arrays are not`,
      hint: 'The entry is damaged: remove it and label its images again.',
    });
  }

  /**
   * SHA-256 of the arrays and conventions of labels, equal for equal labels whenever they were made.
   * @throws SpatialError DATA_INVALID for a damaged record.
   */
  contentOf(key: string): string | undefined {
    const record = this.#record(key);
    const value = this.#tables.values.getBinary(key);
    if (record === undefined || value === undefined) return undefined;
    return labelsDigest(value, record);
  }

  /**
   * Looks for damage: checksum, structure, agreement of record and value, and everything that is checked on write.
   * @returns what is wrong with an entry, or undefined when nothing is.
   */
  verify(key: string): string | undefined {
    try {
      const stored = this.read(key);
      if (stored === undefined) return `${this.#name(key)}: not stored`;
      checkStorableLabels(stored.labels, this.#name(key));
      const { record } = encodeLabels(stored, this.#name(key));
      const agrees = canonicalJson(record) === canonicalJson(this.#record(key));
      return agrees
        ? undefined
        : `${this.#name(key)}: the record says something else than the value`;
    } catch (error) {
      return (error as Error).message;
    }
  }

  #record(key: string): LabelRecord | undefined {
    const text = this.#tables.records.get(key);
    return text === undefined ? undefined : parseRecord(text, this.#name(key));
  }

  #name(key: string): string {
    return `labels ${key} of ${this.folder}`;
  }

  // -------------------------------------------------------------------------------------------- write

  /**
   * Stores labels and drops the claim on their key. Labels that are there already are replaced.
   * @returns when they are on the disk. Writes that are under way together share one commit.
   * @throws SpatialError DATA_INVALID for labels that {@link checkStorableLabels} refuses, with the reason, and for a full
   *   disk; USAGE for a store that was opened to read, and for a key that is none.
   */
  async write(key: string, stored: StoredLabels): Promise<void> {
    this.#checkKey(key);
    checkStorableLabels(stored.labels, this.#name(key));
    const { value, record } = encodeLabels(stored, this.#name(key));
    await this.#commit(({ root, values, records, claims }) =>
      root.batch(() => {
        void values.put(key, value);
        void claims.remove(key);
        void records.put(key, JSON.stringify(record));
      }),
    );
  }

  /** @returns whether there was something to remove. */
  async remove(key: string): Promise<boolean> {
    this.#checkKey(key);
    const wasThere = this.has(key);
    await this.#commit(({ root, values, records, claims }) =>
      root.batch(() => {
        void records.remove(key);
        void claims.remove(key);
        void values.remove(key);
      }),
    );
    return wasThere;
  }

  /** Everything that `change` puts and removes comes into one commit, with what others asked for in the same turn. */
  async #commit<Result>(change: (tables: StoreTables) => Promise<Result>): Promise<Result> {
    this.#checkWritable();
    try {
      return await change(this.#tables);
    } catch (error) {
      throw storeError(this.folder, await causeOf(error));
    }
  }

  #checkWritable(): void {
    if (!this.readOnly) return;
    throw new SpatialError({
      code: 'USAGE',
      message: `${this.folder}: the label store was opened to read`,
      hint: 'Open it without readOnly.',
    });
  }

  #checkKey(key: string): void {
    if (/^[0-9a-f]{64}$/.test(key)) return;
    throw new SpatialError({
      code: 'USAGE',
      message: `"${key}": expected a key of 64 lower-case hexadecimal digits`,
      hint: 'Make keys with labelKey().',
    });
  }

  // -------------------------------------------------------------------------------------------- claims

  /**
   * Takes a view set to work on, so that several processes share the work. Claims divide work, nothing more: what two
   * processes label twice is written twice.
   * @param leaseMs how long it holds unless it is renewed or the labels are written.
   * @returns false for a key that is stored, or that another owner holds whose lease has not run out and whose process
   *   may live (a dead process of this host loses its claims at once).
   */
  claim(key: string, owner: ProcessOwner, leaseMs = DEFAULT_LEASE_MS): Promise<boolean> {
    return this.#changeClaim(key, (claim, now) => {
      const isTaken = claim !== undefined && claim.owner.id !== owner.id && isHeld(claim, now);
      return isTaken || this.has(key) ? undefined : { owner, leaseMs, expiresAt: now + leaseMs };
    });
  }

  /** Begins the lease again. @returns false when the claim is lost. */
  renew(key: string, owner: ProcessOwner, leaseMs = DEFAULT_LEASE_MS): Promise<boolean> {
    return this.#changeClaim(key, (claim, now) =>
      claim?.owner.id === owner.id ? { owner, leaseMs, expiresAt: now + leaseMs } : undefined,
    );
  }

  /** Gives a claim back. @returns false when the owner did not have it. */
  release(key: string, owner: ProcessOwner): Promise<boolean> {
    return this.#changeClaim(key, (claim) => (claim?.owner.id === owner.id ? 'none' : undefined));
  }

  /** Who works on a view set now. */
  claimOf(key: string): Claim | undefined {
    const claim = parseClaim(this.#tables.claims.get(key));
    return claim !== undefined && isHeld(claim, Date.now()) ? claim : undefined;
  }

  /** @param decide the new claim, `none` to remove it, or undefined to leave it; sees what no other process can change. */
  #changeClaim(
    key: string,
    decide: (claim: Claim | undefined, now: number) => Claim | 'none' | undefined,
  ): Promise<boolean> {
    this.#checkKey(key);
    return this.#commit(({ root, claims }) =>
      root.transaction(() => {
        const decision = decide(parseClaim(claims.get(key)), Date.now());
        if (decision === 'none') claims.removeSync(key);
        else if (decision !== undefined) claims.putSync(key, encodeClaim(decision));
        return decision !== undefined;
      }),
    );
  }

  /** Waits for what is being written and closes the store; nothing may be asked of it afterwards. */
  close(): Promise<void> {
    return this.#tables.release();
  }
}

/** A failed commit keeps what went wrong in a promise of its own. */
const causeOf = (error: unknown): Promise<unknown> => {
  const { commitError } = error as { commitError?: Promise<never> };
  return commitError === undefined ? Promise.resolve(error) : commitError.catch((cause) => cause);
};
