import { type PluginRegistry, SpatialError } from '@spatialsv/core';
import type { BenchmarkImageV1, BenchmarkQuestionV1 } from '@spatialsv/core/spec';
import type { Protocol } from '@spatialsv/eval';

/** @throws SpatialError USAGE for a benchmark or variant that is not there. */
export function protocolOf(plugins: PluginRegistry, id: string, variant?: string): Protocol {
  const benchmark = plugins.resolveBenchmark(id);
  const { variants } = benchmark;
  if (variant !== undefined && !variants.includes(variant)) {
    throw new SpatialError({
      code: 'USAGE',
      message: `--variant ${variant}: ${benchmark.title} has ${variants.join(', ')}`,
      hint: `Leave it out for ${variants[0]}.`,
    });
  }
  return { benchmark, variant: variant ?? variants[0]! };
}

export const imagesOf = ({ parts }: BenchmarkQuestionV1): readonly BenchmarkImageV1[] =>
  parts.flatMap((part) => (part.type === 'image' ? [part.image] : []));

/** Images of a question that are files: those in archives and videos are read with their questions. */
export const imageFiles = (question: BenchmarkQuestionV1): readonly string[] =>
  imagesOf(question).flatMap(({ source }) => (typeof source === 'string' ? [source] : []));
