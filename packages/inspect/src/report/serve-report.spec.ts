import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HOSTILE, testReport } from '../testing/test-report.js';
import type { Report } from './report.js';
import { type ReportServer, serveReport } from './serve-report.js';

const folder = mkdtempSync(join(tmpdir(), 'spatialsv-serve-'));
let report: Report;
let server: ReportServer;
const read: string[] = [];
beforeAll(async () => {
  const whole = await testReport(folder);
  const readScene = (key: string) => {
    read.push(key);
    return whole.scene(key);
  };
  report = { ...whole, scene: readScene };
  server = await serveReport(async () => report);
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** A request whose path and headers are sent as they are. */
const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  new Promise<Answer>((resolve, reject) => {
    const { hostname, port } = new URL(server.url);
    const asked = request({ hostname, port, path, headers, method }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        body += text;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode!, body, headers: response.headers }),
      );
    });
    asked.on('error', reject).end();
  });

describe('a served report', () => {
  it('listens on the loopback device alone, and reads a scene when it is asked for', async () => {
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
    const { status, body, headers } = await ask('/');
    expect([status, body.includes('<script>window.hacked')]).toEqual([200, false]);
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
    expect(headers['cross-origin-resource-policy']).toBe('same-origin');
    expect(JSON.parse((await ask('/report.json')).body).title).toBe(report.title);
    expect(read).toEqual([]);
    expect(JSON.parse((await ask('/scenes/a.json')).body).label.width).toBe(32);
    expect(read).toEqual(['a']);
  });

  it('refuses other names of this machine, so that no site can point its own here', async () => {
    for (const host of ['evil.example', `evil.example:${new URL(server.url).port}`, '127.0.0.1'])
      expect((await ask('/report.json', { host })).status).toBe(403);
    const host = `localhost:${new URL(server.url).port}`;
    expect((await ask('/report.json', { host })).status).toBe(200);
  });

  it.each([
    '/scenes/../../../../etc/passwd.json',
    '/scenes/..%2f..%2fpackage.json',
    '/../package.json',
    '/scenes/c.json',
    '/scenes/a.js',
    '/%00',
  ])('has nothing at %s', async (path) => {
    expect((await ask(path)).status).toBe(404);
  });

  it('takes no other methods, and says what went wrong with a scene', async () => {
    expect((await ask('/', {}, 'POST')).status).toBe(405);
    const broken = { ...report, scene: () => Promise.reject(new Error(`gone ${HOSTILE}`)) };
    const other = await serveReport(async () => broken as Report);
    const answer = await fetch(`${other.url}scenes/a.json`);
    expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([
      500,
      'text/plain; charset=utf-8',
      `gone ${HOSTILE}`,
    ]);
    await other.close();
  });

  it('says when a port is taken', async () => {
    const port = Number(new URL(server.url).port);
    await expect(serveReport(async () => report, { port })).rejects.toThrow('EADDRINUSE');
  });
});
