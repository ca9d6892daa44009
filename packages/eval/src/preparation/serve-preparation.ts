import type { MessagePort } from 'node:worker_threads';
import { type Served, serveRequests } from '@spatialsv/core';
import type { BackboneV1, PreparedInputsV1 } from '@spatialsv/core/spec';
import { conversationOf } from '../media/conversation.js';
import { receivedQuestion, type SentQuestion } from './messages.js';

/** Prepares what a {@link PreparationPool} asks for, one prompt after the other: the work of a thread's module. */
export function servePreparation(
  backbone: Promise<Pick<BackboneV1, 'prepare'>>,
  port?: MessagePort,
): void {
  const open = async () => {
    const opened = await backbone;
    return async (question: SentQuestion): Promise<Served<PreparedInputsV1>> => {
      const reply = await opened.prepare(await conversationOf(receivedQuestion(question)));
      return { reply, transfer: pixelsOf(reply) };
    };
  };
  serveRequests(open(), port);
}

/** Pixels change hands instead of being copied. */
const pixelsOf = ({ views }: PreparedInputsV1): ArrayBuffer[] =>
  views.map(({ pixelValues }) => pixelValues.buffer as ArrayBuffer);
