import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { errorMessage } from '@spatialsv/core';
import { packScene } from './pack-scene.js';
import { contentPolicy, PAGE_END, pageData, pageStart } from './page-html.js';
import type { Report } from './report.js';

export interface ServeOptions {
  /** A free one where absent. */
  readonly port?: number;
}

export interface ReportServer {
  /** Address to open. */
  readonly url: string;
  close(): Promise<void>;
}

/** Nobody else on the network can ask. */
const LOOPBACK = '127.0.0.1';

/**
 * Serves a report on the loopback device: the page, and each scene when it is looked at, with all of its detail. Whoever asks under
 * another name than that of this machine is refused, so that no site can point its own name here; nothing of a request becomes
 * a path.
 * @param read gives the report as it is now; it is asked for at every request, so a run that goes on is followed.
 * @throws what `listen` says, for example of a port that is taken.
 */
export async function serveReport(
  read: () => Promise<Report>,
  { port = 0 }: ServeOptions = {},
): Promise<ReportServer> {
  const server = createServer((request, response) => {
    answer(server, read, request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else send(response, 500, 'text/plain', errorMessage(error));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, LOOPBACK, resolve);
  });
  return {
    url: `http://${LOOPBACK}:${portOf(server)}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

const SCENE = /^\/scenes\/([\w@.-]+)\.json$/;

async function answer(
  server: Server,
  read: () => Promise<Report>,
  { method, url = '/', headers }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const hosts = [`${LOOPBACK}:${portOf(server)}`, `localhost:${portOf(server)}`];
  if (!hosts.includes(headers.host ?? ''))
    return send(
      response,
      403,
      'text/plain',
      `This server answers to ${hosts.join(' and ')} alone.`,
    );
  if (method !== 'GET' && method !== 'HEAD')
    return send(response, 405, 'text/plain', 'Only GET and HEAD.');
  const [path] = url.split('?');
  const report = await read();
  if (path === '/') return send(response, 200, 'text/html', pageStart(report, 'server') + PAGE_END);
  if (path === '/report.json') return sendJson(response, pageData(report, 'server'));
  const key = SCENE.exec(path!)?.[1];
  if (key === undefined || !report.sceneKeys.includes(key))
    return send(response, 404, 'text/plain', 'There is no such scene.');
  return sendJson(response, await packScene(await report.scene(key)));
}

const sendJson = (response: ServerResponse, value: unknown): void =>
  send(response, 200, 'application/json', JSON.stringify(value));

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    'content-type': `${type}; charset=utf-8`,
    'content-length': Buffer.byteLength(body),
    'content-security-policy': `${contentPolicy('server')}; frame-ancestors 'none'`,
    'cross-origin-resource-policy': 'same-origin',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
  });
  response.end(body);
}
