import { createHash } from 'node:crypto';
import { EngineError } from '../errors.js';
import { countIdle } from './handle.js';
import { Session, type SessionOptions } from './session.js';

/** A session in the hands of one user. */
export class SessionLease {
  #session: Session | undefined;
  readonly #name: string;
  readonly #handBack: (session: Session) => void;

  constructor(session: Session, handBack: (session: Session) => void) {
    this.#session = session;
    this.#name = session.name;
    this.#handBack = handBack;
  }

  /** @throws EngineError DISPOSED. */
  get session(): Session {
    if (this.#session !== undefined) return this.#session;
    throw new EngineError({
      code: 'DISPOSED',
      message: `session "${this.#name}" is used after it was disposed`,
      hint: 'Keep it until the last run that needs it has ended.',
    });
  }

  /** Ends the use; the bindings of the session end with it. */
  dispose(): void {
    const session = this.#session;
    if (session === undefined) return;
    this.#session = undefined;
    session.disposeBindings();
    this.#handBack(session);
  }
}

interface IdleSession {
  readonly key: string;
  readonly session: Session;
  readonly bytes: number;
}

/** Of the limit: one model above it would take the place of all others. */
const LARGE_SHARE = 1 / 2;

/**
 * Sessions of the CPU outlive their programs for a while, for the next program of an equal graph: making one costs more than tracing
 * it, and the same graphs come again in the evaluation after a training, in the runs of a sweep, in a second model of one
 * shape. Weights are inputs, so that a session that nobody uses is little more than its graph.
 */
export class SessionPool {
  /** The first was used longest ago. */
  #idle: IdleSession[] = [];
  readonly #idleBytes: number;

  /** @param idleBytes of the models whose sessions are kept while nobody uses them. */
  constructor(idleBytes: number) {
    this.#idleBytes = idleBytes;
  }

  /** A session that is idle, or a new one. @throws as {@link Session.create}. */
  async lend(model: Uint8Array, options: SessionOptions): Promise<SessionLease> {
    if (!isKept(options)) {
      return new SessionLease(await Session.create(model, options), (session) => session.dispose());
    }
    const key = keyOf(model, options);
    const bytes = model.byteLength;
    return new SessionLease(this.#take(key) ?? (await Session.create(model, options)), (session) =>
      this.#keep({ key, session, bytes }),
    );
  }

  #take(key: string): Session | undefined {
    const index = this.#idle.findLastIndex((each) => each.key === key);
    if (index < 0) return undefined;
    countIdle(-1);
    return this.#idle.splice(index, 1)[0]!.session;
  }

  #keep(idle: IdleSession): void {
    if (idle.bytes > LARGE_SHARE * this.#idleBytes) {
      idle.session.dispose();
      return;
    }
    countIdle(1);
    this.#idle.push(idle);
    let bytes = this.#idle.reduce((sum, each) => sum + each.bytes, 0);
    while (bytes > this.#idleBytes) {
      const oldest = this.#idle.shift()!;
      countIdle(-1);
      bytes -= oldest.bytes;
      oldest.session.dispose();
    }
  }
}

/** What a session holds on a GPU is scarce, and files that weights were prepared from may change. */
const isKept = ({ provider, externalDataFolder }: SessionOptions): boolean =>
  provider === 'cpu' && externalDataFolder === undefined;

/** Equal for models and options that make equal sessions; what it is called is part of what a session says. */
const keyOf = (model: Uint8Array, options: SessionOptions): string =>
  createHash('sha256').update(JSON.stringify(options)).update('\0').update(model).digest('base64');

/** With its kernels and plan a session takes some seventy times the size of its graph: 36 MiB in all. */
const IDLE_GRAPH_BYTES = 2 ** 19;
export const sessionPool = new SessionPool(IDLE_GRAPH_BYTES);
