import { allOrNone, Disposables } from '../disposables.js';
import {
  allocateHost,
  type Binding,
  DeviceValue,
  type Session,
  type SessionLease,
  type SessionOptions,
  sessionPool,
  type ValueInfo,
} from '../executor/index.js';
import { sizeOf } from '../graph/graph.js';
import type { Piece, Stages } from '../graph/stages.js';
import { encodeModel } from '../onnx/encode.js';

/** Inputs, outputs and runs of a program, whatever it is made of. Only GPUs allocate outputs themselves. */
export type ProgramBinding = Pick<Binding, 'bindInput' | 'bindOutput' | 'run' | 'dispose'> &
  Partial<Pick<Binding, 'bindOutputToDevice' | 'outputs' | 'values'>>;

/** What a program runs in. */
export interface ProgramSession extends Pick<Session, 'provider' | 'find'> {
  createBinding(): ProgramBinding;
}

/** A session in the hands of one program. */
export interface ProgramLease {
  readonly session: ProgramSession;
  dispose(): void;
}

interface OpenPiece {
  readonly piece: Piece;
  readonly lease: SessionLease;
}
type OpenStages = readonly (readonly OpenPiece[])[];

/** Sessions for a graph in stages on the CPU, one for each piece, on a thread of its own. @throws as {@link Session.create}. */
export async function lendStages(
  stages: Stages,
  options: Omit<SessionOptions, 'provider' | 'threads'>,
): Promise<ProgramLease> {
  const open = (piece: Piece) =>
    sessionPool.lend(encodeModel(piece), { ...options, provider: 'cpu', threads: 1 });
  const leases = await allOrNone(stages.flat().map(open));
  const made = leases.values();
  const session = new StagedSession(
    stages.map((stage) => stage.map((piece) => ({ piece, lease: made.next().value! }))),
  );
  return { session, dispose: () => session.dispose() };
}

/** The sessions of a graph in stages, as one. */
class StagedSession implements ProgramSession {
  readonly provider = 'cpu';
  readonly #stages: OpenStages;
  readonly #bindings = new Disposables();

  constructor(stages: OpenStages) {
    this.#stages = stages;
  }

  find(side: 'input' | 'output', name: string): ValueInfo | undefined {
    return this.#stages.flat().flatMap(({ lease }) => lease.session.find(side, name) ?? [])[0];
  }

  createBinding(): ProgramBinding {
    return this.#bindings.add(new StagedBinding(this.#stages));
  }

  dispose(): void {
    this.#bindings.dispose();
    for (const { lease } of this.#stages.flat()) lease.dispose();
  }
}

interface BoundPiece extends OpenPiece {
  readonly binding: Binding;
}

/** Bindings of all pieces, which hand their results to each other in memory of the host. */
class StagedBinding implements ProgramBinding {
  readonly #stages: readonly (readonly Binding[])[];
  readonly #readers = new Map<string, Binding[]>();
  readonly #makers = new Map<string, Binding>();
  readonly #handedOver = new Disposables();

  constructor(stages: OpenStages) {
    const bound = stages.map((stage) =>
      stage.map((open): BoundPiece => ({ ...open, binding: open.lease.session.createBinding() })),
    );
    this.#stages = bound.map((stage) => stage.map(({ binding }) => binding));
    for (const each of bound.flat()) this.#enter(each);
    for (const { piece } of bound.flat()) this.#connect(piece);
  }

  #enter({ piece, binding }: BoundPiece): void {
    for (const { name } of piece.inputs) {
      const readers = this.#readers.get(name);
      if (readers === undefined) this.#readers.set(name, [binding]);
      else readers.push(binding);
    }
    for (const { name } of piece.outputs) this.#makers.set(name, binding);
  }

  /** Memory for what other pieces read. Outputs of the program that the caller binds take its place. */
  #connect({ outputs }: Piece): void {
    for (const { name, value } of outputs) {
      if (!this.#readers.has(name)) continue;
      const { shape, dtype } = value;
      const memory = allocateHost(dtype, sizeOf(shape));
      this.bindOutput(name, this.#handedOver.add(DeviceValue.fromHost(memory, dtype, shape)));
    }
  }

  bindInput(name: string, value: DeviceValue): void {
    for (const binding of this.#readers.get(name) ?? []) binding.bindInput(name, value);
  }

  /** Where other pieces read it, they read it there. */
  bindOutput(name: string, value: DeviceValue): void {
    this.#makers.get(name)!.bindOutput(name, value);
    this.bindInput(name, value);
  }

  /** Stage after stage; all runs of one end before an error is told. */
  async run(options: Parameters<Binding['run']>[0] = {}): Promise<void> {
    for (const stage of this.#stages) {
      const runs = await Promise.allSettled(stage.map((binding) => binding.run(options)));
      const failed = runs.find(({ status }) => status === 'rejected');
      if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
    }
  }

  dispose(): void {
    for (const binding of this.#stages.flat()) binding.dispose();
    this.#handedOver.dispose();
  }
}
