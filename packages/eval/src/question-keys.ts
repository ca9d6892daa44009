import { createHash } from 'node:crypto';
import { canonicalJson, hashFile } from '@spatialsv/core';
import type { BenchmarkQuestionV1, PromptPartV1 } from '@spatialsv/core/spec';
import { scoredQuestion } from './answers.js';

/**
 * What each question is: SHA-256 of its facts, texts, images and frames. Equal for equal content in any folder.
 * @throws SpatialError FILE_MISSING | FILE_INVALID for an image or video.
 */
export async function questionKeys(
  questions: readonly BenchmarkQuestionV1[],
): Promise<readonly string[]> {
  // Views are shared by questions: each file is read once.
  const hashes = new Map<string, string>();
  const keys: string[] = [];
  for (const question of questions) {
    const parts: unknown[] = [];
    for (const part of question.parts) parts.push(await partKey(part, hashes));
    const { system, maxNewTokens } = question;
    keys.push(digest(canonicalJson({ ...scoredQuestion(question), parts, system, maxNewTokens })));
  }
  return keys;
}

async function partKey(part: PromptPartV1, hashes: Map<string, string>): Promise<unknown> {
  if (part.type === 'text') return part;
  if (part.type === 'video') {
    const { path, frames } = part.video;
    return { type: 'video', sha256: await fileHash(path, hashes), frames };
  }
  const { source } = part.image;
  const sha256 =
    typeof source === 'string' ? await fileHash(source, hashes) : digest(await source());
  return { type: 'image', sha256 };
}

async function fileHash(path: string, hashes: Map<string, string>): Promise<string> {
  const known = hashes.get(path);
  if (known !== undefined) return known;
  const hash = await hashFile(path);
  hashes.set(path, hash);
  return hash;
}

const digest = (content: string | Uint8Array): string =>
  createHash('sha256').update(content).digest('hex');
