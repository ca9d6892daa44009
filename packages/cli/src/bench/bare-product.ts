import {
  type CompiledProgram,
  compile,
  createTensor,
  type DeviceTensor,
  float32,
  type Program,
  tf,
} from '@spatialsv/engine';

/** Rows and columns of the bare product. */
export const PRODUCT = 2048;

export interface Product {
  readonly program: CompiledProgram;
  run(): Promise<unknown>;
}

/** A 2048³ float32 product with nothing around it: the speed that the machine has at this moment. */
export async function openProduct(): Promise<Product> {
  const square = float32(PRODUCT, PRODUCT);
  const multiply = ({ a, b }: Record<'a' | 'b', tf.Tensor2D>) => ({ c: tf.matMul(a, b) });
  // What is measured by turns with it is not to share the cores with its threads.
  const options = { rests: true, name: 'product' };
  const program = await compile(multiply as Program, { a: square, b: square }, options);
  const fill = () => new Float32Array(PRODUCT * PRODUCT).fill(0.5);
  const [a, b, c] = [fill(), fill(), fill()].map((data) => createTensor(square, data)) as [
    DeviceTensor,
    DeviceTensor,
    DeviceTensor,
  ];
  return { program, run: () => program.run({ a, b }, { c }) };
}

export const gflops = (flops: number, milliseconds: number): number => flops / milliseconds / 1e6;
