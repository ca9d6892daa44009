import { EXIT } from './exit.js';

export interface InterruptSource {
  on(event: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  off(event: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  exit(code: number): void;
}

export interface Interrupts {
  readonly signal: AbortSignal;
  /** Stops listening. */
  dispose(): void;
}

/** First Ctrl-C (or SIGTERM) aborts the signal, so that work ends at a safe point; the second ends the process. */
export function watchInterrupts(source: InterruptSource, tell: (text: string) => void): Interrupts {
  const controller = new AbortController();
  const listener = (): void => {
    if (controller.signal.aborted) {
      source.exit(EXIT.interrupted);
      return;
    }
    tell('\nStopping after the step under way. Press Ctrl-C again to stop at once.\n');
    controller.abort();
  };
  source.on('SIGINT', listener);
  source.on('SIGTERM', listener);
  return {
    signal: controller.signal,
    dispose() {
      source.off('SIGINT', listener);
      source.off('SIGTERM', listener);
    },
  };
}
