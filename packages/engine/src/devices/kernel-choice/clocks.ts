/** What a measurement reads the time from; tests put clocks of their own in their place. */
export interface Clocks {
  /** ms since some moment; never set back. */
  now(): number;
  /** Processor time of all threads of this process so far, ms; undefined where the system counts it too coarsely for one run. */
  processorTime(): number | undefined;
  /** Threads that run while a program with shared threads does. */
  readonly threads: number;
  /** ms since 1970. */
  date(): number;
}

/** Windows adds to the processor time of a process in ticks of 15.6 ms. */
const COUNTS_FINELY = process.platform !== 'win32';

/** The clocks of this process. @param threads of ONNX Runtime. */
export const processClocks = (threads: number): Clocks => ({
  now: () => performance.now(),
  processorTime: () =>
    COUNTS_FINELY ? process.cpuUsage().user / 1e3 + process.cpuUsage().system / 1e3 : undefined,
  threads,
  date: () => Date.now(),
});
