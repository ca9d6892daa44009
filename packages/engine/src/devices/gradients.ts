import { differentiate } from '../differentiate.js';
import { EngineError } from '../errors.js';
import type { Program, Tree } from '../specs.js';
import type { Tensor } from '../tfjs.js';
import { flatten, isTensor } from '../tree.js';

type Inputs = Record<string, Tree<Tensor>>;

/** The program with the output `gradients.<group>.<name>` of its output `loss` by the named inputs. */
export function withGradients(program: Program, groups: readonly string[] | undefined): Program {
  if (groups === undefined || groups.length === 0) return program;
  const plain = program as (inputs: Inputs) => Record<string, Tree<Tensor>>;
  return (inputs: Inputs) => {
    const chosen = Object.fromEntries(groups.map((group) => [group, groupOf(inputs, group)]));
    const leaves = Object.fromEntries(flatten<Tensor>(chosen, isTensor));
    // Differentiation is by the very tensors that the program reads, so it needs no rebuilding of the inputs.
    const { outputs, gradients } = differentiate(() => {
      const result = plain(inputs);
      if (isTensor(result['loss'])) return { ...result, loss: result['loss'] };
      throw lossMissing(result);
    }, leaves);
    return { ...outputs, gradients };
  };
}

function groupOf(inputs: Inputs, group: string): Tree<Tensor> {
  const found = inputs[group];
  if (found !== undefined) return found;
  throw new EngineError({
    code: 'PROGRAM_INVALID',
    message: `Gradients were asked for "${group}", which is no input: expected one of ${Object.keys(inputs).join(', ')}.`,
    hint: 'Name top-level inputs of the program.',
  });
}

function lossMissing(result: Record<string, unknown>): EngineError {
  return new EngineError({
    code: 'PROGRAM_INVALID',
    message: `Gradients need a scalar output "loss"; the program returns ${Object.keys(result).join(', ')}.`,
    hint: 'Return { loss, … } with a scalar tensor.',
  });
}
