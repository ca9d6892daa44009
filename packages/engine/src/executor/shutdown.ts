interface Disposable {
  dispose(): void;
}

const open = new Set<Disposable>();
let listening = false;

/**
 * Disposes `owner` when the process exits, unless it was forgotten before. GPU sessions need it: ONNX Runtime 1.30 crashes
 * in its static destructors when a WebGPU session that has run is still alive.
 */
export function disposeAtExit(owner: Disposable): void {
  open.add(owner);
  if (listening) return;
  listening = true;
  process.once('exit', () => {
    for (const each of open) each.dispose();
  });
}

export function forgetAtExit(owner: Disposable): void {
  open.delete(owner);
}
