import { type PluginRegistry, SpatialError } from '@spatialsv/core';
import type { BenchmarkQuestionV1 } from '@spatialsv/core/spec';
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

/** Images of a question that are files: those in archives and videos are read with their questions. */
export const imageFiles = ({ parts }: BenchmarkQuestionV1): readonly string[] =>
  parts.flatMap((part) =>
    part.type === 'image' && typeof part.image.source === 'string' ? [part.image.source] : [],
  );
