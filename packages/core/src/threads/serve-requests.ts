import { type MessagePort, parentPort } from 'node:worker_threads';
import { failureOf, type ThreadReply, type ThreadRequest } from './messages.js';

/** An answer, and the buffers of it that change hands instead of being copied. */
export interface Served<Reply> {
  readonly reply: Reply;
  readonly transfer: readonly ArrayBuffer[];
}

/**
 * Answers what a `ThreadPool` asks for, one request after the other: the work of a thread's module.
 * @param opened answers requests, once it is open; what goes wrong in opening is the answer to every request.
 */
export function serveRequests<Request, Reply>(
  opened: Promise<(request: Request) => Promise<Served<Reply>>>,
  port: MessagePort = parentPort!,
): void {
  opened.then(
    () => port.postMessage({ ready: true }),
    () => undefined,
  );
  let last: Promise<void> = Promise.resolve();
  port.on('message', (request: ThreadRequest<Request>) => {
    last = last.then(async () => {
      const { message, transfer } = await answered(opened, request);
      port.postMessage(message, transfer);
    });
  });
}

async function answered<Request, Reply>(
  opened: Promise<(request: Request) => Promise<Served<Reply>>>,
  { id, request }: ThreadRequest<Request>,
): Promise<{ readonly message: ThreadReply<Reply>; readonly transfer: ArrayBuffer[] }> {
  try {
    const { reply, transfer } = await (await opened)(request);
    return { message: { id, reply }, transfer: [...new Set(transfer)] };
  } catch (error) {
    return { message: { id, failure: failureOf(error) }, transfer: [] };
  }
}
