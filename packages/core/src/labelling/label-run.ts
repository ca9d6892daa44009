import { setTimeout as sleep } from 'node:timers/promises';
import { SpatialError, withCleanup } from '../errors.js';
import {
  checkStorableLabels,
  DEFAULT_LEASE_MS,
  type LabelStore,
  labelKey,
  type StoredLabels,
} from '../label-store/index.js';
import { createProcessOwner } from '../process-owner.js';
import type { LabellerV1, LabelRequestV1 } from '../spec.js';
import { createImageFacts, type ImageFacts } from './image-facts.js';
import {
  isFailureOfSet,
  type LabelFailure,
  type LabelStage,
  labelFailure,
} from './label-failure.js';
import type { ViewSet } from './view-sets.js';

/** What a run needs of a label store. */
export type LabelRunStore = Pick<LabelStore, 'has' | 'claim' | 'renew' | 'release' | 'write'>;

export interface LabelRunRequest {
  readonly sets: readonly ViewSet[];
  readonly labeller: LabellerV1;
  readonly store: LabelRunStore;
  /** Size of the labels; the source's own where absent. */
  readonly height?: number;
  readonly width?: number;
  /** Also label sets that the store has; they are replaced without a claim, so each process replaces all of its sets. */
  readonly force?: boolean;
  /** Whether a set that cannot be labelled ends the run. Default `skip`. */
  readonly onError?: 'skip' | 'fail';
  /** Ends the run with the set under way given up; finished sets stay. */
  readonly signal?: AbortSignal;
  readonly observer?: LabelRunObserver;
  /** Time between two looks at sets that others hold, ms. */
  readonly pollMs?: number;
}

/** Told how far a run is. */
export interface LabelRunObserver {
  /** Before anything is labelled: so many sets are looked for in the store. */
  onLook?(done: number, total: number): void;
  /** So many sets are there already, so many are to be labelled. */
  onStart?(plan: { readonly present: number; readonly missing: number }): void;
  /** @param done of the missing sets, whoever labelled them. @param views labelled by this run. */
  onProgress?(done: number, views: number): void;
  /** Everything else is done; so many sets are held by other processes. */
  onWait?(sets: number): void;
  onFailure?(failure: LabelFailure): void | Promise<void>;
}

export interface LabelRunResult {
  /** View sets that were asked for. */
  readonly sets: number;
  /** Sets labelled and stored by this run, and their views. */
  readonly written: number;
  readonly views: number;
  /** Sets that were there, or that other processes finished meanwhile. */
  readonly present: number;
  /** Sets that failed because of an image or the source, and those whose labels were refused. */
  readonly skipped: number;
  readonly rejected: number;
  readonly failures: readonly LabelFailure[];
  /** Spent on labelling, without looking what is there. */
  readonly seconds: number;
  /** False when the signal ended the run. */
  readonly complete: boolean;
}

/**
 * Labels view sets into a store. Sets that are there are passed over; every other one is claimed first, so that several
 * processes may share the work, and is stored as soon as it is finished: a killed run loses the set under way only. At the
 * end the run waits for sets that others hold, and takes over those of processes that died.
 * @throws SpatialError what ends every set alike (a wrong setting, a device, the store); with `onError: 'fail'` what ends
 *   one: FILE_MISSING | FILE_INVALID | IMAGE_INVALID for its images, DATA_INVALID and others from the source, DATA_INVALID
 *   for labels that the store refuses.
 */
export const labelViewSets = (request: LabelRunRequest): Promise<LabelRunResult> =>
  new LabelRun(request).run();

/** A set that is identified. */
interface Task extends ViewSet {
  readonly key: string;
}

/** `storing`: labelled, and on the way to the disk. */
type Outcome = 'storing' | 'present' | 'failed' | 'held';

/** Claims are renewed well within their lease. */
const RENEW_MS = DEFAULT_LEASE_MS / 4;

class LabelRun {
  readonly #request: LabelRunRequest;
  readonly #facts: ImageFacts = createImageFacts();
  readonly #owner = createProcessOwner();
  readonly #failures: LabelFailure[] = [];
  #written = 0;
  #views = 0;
  #present = 0;
  #done = 0;
  /** The write under way: the next set is labelled meanwhile, which halves the waits for the disk. */
  #writing: Promise<void> = Promise.resolve();

  constructor(request: LabelRunRequest) {
    this.#request = request;
  }

  async run(): Promise<LabelRunResult> {
    let startedMs: number | undefined;
    let complete = true;
    const work = async () => {
      const missing = await this.#look();
      startedMs = performance.now();
      await this.#label(missing);
    };
    const tolerant = () =>
      work().catch((error: unknown) => {
        if (!this.#isAbort(error)) throw error;
        complete = false;
      });
    await withCleanup(tolerant, () => this.#writing);
    return this.#result((performance.now() - (startedMs ?? performance.now())) / 1000, complete);
  }

  /** Finds the key of every set. @returns the sets that the store lacks. */
  async #look(): Promise<Task[]> {
    const { sets, store, force, observer } = this.#request;
    const missing: Task[] = [];
    for (const [i, set] of sets.entries()) {
      this.#request.signal?.throwIfAborted();
      const task = await this.#attempt('image', set, () => this.#identify(set));
      if (task !== undefined && !force && store.has(task.key)) this.#present++;
      else if (task !== undefined) missing.push(task);
      observer?.onLook?.(i + 1, sets.length);
    }
    observer?.onStart?.({ present: this.#present, missing: missing.length });
    return missing;
  }

  async #identify({ images }: ViewSet): Promise<Task> {
    const hashes: string[] = [];
    for (const image of images) {
      await this.#facts.look(image);
      hashes.push(await this.#facts.hash(image));
    }
    const { provenance } = this.#request.labeller;
    return { images, key: labelKey({ images: hashes, provenance, ...this.#size() }) };
  }

  #size(): Pick<LabelRequestV1, 'height' | 'width'> {
    const { height, width } = this.#request;
    return { ...(height !== undefined && { height }), ...(width !== undefined && { width }) };
  }

  async #label(tasks: readonly Task[]): Promise<void> {
    const { observer, signal, pollMs = 1000 } = this.#request;
    let held = await this.#pass(tasks);
    while (held.length > 0) {
      observer?.onWait?.(held.length);
      await sleep(pollMs, undefined, signal && { signal });
      held = await this.#pass(held);
    }
  }

  /** Labels what nobody holds. @returns the sets that others hold. */
  async #pass(tasks: readonly Task[]): Promise<Task[]> {
    const held: Task[] = [];
    for (const task of tasks) {
      this.#request.signal?.throwIfAborted();
      const outcome = await this.#claimAndLabel(task);
      if (outcome === 'held') held.push(task);
      if (outcome === 'present') this.#present++;
      if (outcome === 'present' || outcome === 'failed') this.#tellDone();
    }
    return held;
  }

  #tellDone(): void {
    this.#done++;
    this.#request.observer?.onProgress?.(this.#done, this.#views);
  }

  async #claimAndLabel(task: Task): Promise<Outcome> {
    const { store, force } = this.#request;
    // What is stored cannot be claimed, and need not be: it is replaced in one piece.
    if (store.has(task.key)) return force ? this.#makeAndStore(task) : 'present';
    if (!(await store.claim(task.key, this.#owner)))
      return store.has(task.key) ? 'present' : 'held';
    // A renewal that fails lets the claim run out: another process may then label the same set, with the same result.
    const renew = () => store.renew(task.key, this.#owner).catch(() => false);
    const renewal = setInterval(renew, RENEW_MS);
    let outcome: Outcome | undefined;
    const work = async () => {
      outcome = await this.#makeAndStore(task);
      return outcome;
    };
    return withCleanup(
      work,
      () => clearInterval(renewal),
      // Writing drops the claim.
      () => outcome !== 'storing' && store.release(task.key, this.#owner),
    );
  }

  async #makeAndStore(task: Task): Promise<Outcome> {
    const { labeller, signal } = this.#request;
    const images = await this.#attempt('image', task, () => this.#facts.describe(task.images));
    if (images === undefined) return 'failed';
    const request = { images: task.images, ...this.#size(), ...(signal && { signal }) };
    const labels = await this.#attempt('source', task, () => labeller.doLabel(request));
    if (labels === undefined) return 'failed';
    const unchanged = await this.#attempt('image', task, async () => {
      await this.#facts.requireUnchanged(task.images);
      return true;
    });
    if (unchanged === undefined) return 'failed';
    const { provenance } = labeller;
    const stored = { labels, provenance, images, createdAt: new Date().toISOString() };
    const checked = await this.#attempt('labels', task, async () => requireStorable(stored));
    if (checked === undefined) return 'failed';
    await this.#writing;
    this.#writing = this.#write(task, stored);
    // Whoever waits for it is told.
    this.#writing.catch(() => {});
    return 'storing';
  }

  async #write({ key, images }: Task, stored: StoredLabels): Promise<void> {
    await this.#request.store.write(key, stored);
    this.#written++;
    this.#views += images.length;
    this.#tellDone();
  }

  #isAbort(error: unknown): boolean {
    const { signal } = this.#request;
    const isNamed = (error as Error | undefined)?.name === 'AbortError';
    return signal?.aborted === true && (isNamed || error === signal.reason);
  }

  /** @returns undefined when `make` failed because of this set and the run goes on. */
  async #attempt<Result>(
    stage: LabelStage,
    set: ViewSet & { readonly key?: string },
    make: () => Promise<Result>,
  ): Promise<Result | undefined> {
    const { signal, onError = 'skip', observer } = this.#request;
    try {
      return await make();
    } catch (error) {
      signal?.throwIfAborted();
      if (onError === 'fail' || !isFailureOfSet(error)) throw error;
      const failure = labelFailure(stage, set, error);
      this.#failures.push(failure);
      await observer?.onFailure?.(failure);
      return undefined;
    }
  }

  #result(seconds: number, complete: boolean): LabelRunResult {
    const rejected = this.#failures.filter(({ stage }) => stage === 'labels').length;
    return {
      sets: this.#request.sets.length,
      written: this.#written,
      views: this.#views,
      present: this.#present,
      skipped: this.#failures.length - rejected,
      rejected,
      failures: this.#failures,
      seconds,
      complete,
    };
  }
}

/** @throws SpatialError DATA_INVALID with the reason. */
const requireStorable = (stored: StoredLabels): StoredLabels => {
  const { labels, provenance, images } = stored;
  const where = `labels of '${provenance.source}' for ${images[0]!.path}`;
  checkStorableLabels(labels, where);
  if (labels.views === images.length) return stored;
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `${where}: expected ${images.length} views, found ${labels.views}`,
    hint: 'Nothing was stored. The label source is at fault: report it to its authors.',
  });
};
