import { type MessagePort, parentPort } from 'node:worker_threads';
import { errorMessage, SpatialError } from '@spatialsv/core';
import type { BackboneV1, PreparedInputsV1 } from '@spatialsv/core/spec';
import { conversationOf } from '../media/conversation.js';
import {
  type Failure,
  type PrepareReply,
  type PrepareRequest,
  receivedQuestion,
} from './messages.js';

/** Prepares what a {@link PreparationPool} asks for, one prompt after the other: the work of a worker's module. */
export function servePreparation(
  backbone: Promise<Pick<BackboneV1, 'prepare'>>,
  port: MessagePort = parentPort!,
): void {
  // What goes wrong in opening is the answer to every request.
  backbone.catch(() => undefined);
  let last: Promise<void> = Promise.resolve();
  port.on('message', (request: PrepareRequest) => {
    last = last.then(async () => {
      const reply = await prepared(backbone, request);
      port.postMessage(reply, 'inputs' in reply ? pixelsOf(reply.inputs) : []);
    });
  });
}

async function prepared(
  backbone: Promise<Pick<BackboneV1, 'prepare'>>,
  request: PrepareRequest,
): Promise<PrepareReply> {
  const { id } = request;
  try {
    const conversation = await conversationOf(receivedQuestion(request));
    return { id, inputs: await (await backbone).prepare(conversation) };
  } catch (error) {
    return { id, failure: failureOf(error) };
  }
}

const failureOf = (error: unknown): Failure => ({
  message: errorMessage(error),
  ...(SpatialError.isInstance(error) && { coded: { code: error.code, hint: error.hint } }),
});

/** Pixels change hands instead of being copied. */
const pixelsOf = ({ views }: PreparedInputsV1): ArrayBuffer[] => [
  ...new Set(views.map(({ pixelValues }) => pixelValues.buffer as ArrayBuffer)),
];
