import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';

/** Debian's Chromium; elsewhere these tests are skipped with a message. */
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => existsSync(path),
);

export const describeInBrowser = CHROMIUM === undefined ? describe.skip : describe;
if (CHROMIUM === undefined)
  process.stderr.write('No Chromium here: tests of the report in a browser are skipped.\n');

/** Software rendering, as on a machine without a GPU. */
export const openBrowser = (): Promise<Browser> =>
  chromium.launch({
    executablePath: CHROMIUM!,
    args: ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'],
  });

/** A page whose console is collected. @returns what it complained about so far. */
export async function openPage(
  browser: Browser,
  url: string,
): Promise<{ page: Page; complaints: string[] }> {
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && !ABOUT_SOFTWARE.test(message.text()))
      complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(url);
  await drawn(page);
  return { page, complaints };
}

/** What Chromium says of reading pixels back without a GPU. */
const ABOUT_SOFTWARE = /GPU stall due to ReadPixels|software WebGL/;

/** Resolves when the scene is read and all of its points are on the screen: a busy machine draws them in several frames. */
export async function drawn(page: Page): Promise<void> {
  await page.waitForSelector('.views canvas', { state: 'attached' });
  await page.evaluate(
    () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))),
  );
  await page.waitForSelector('.stage canvas[data-whole]', { state: 'attached' });
}

/** Number of different colours in the middle of what an element shows: 1 for a blank canvas. */
export async function colorsOf(page: Page, selector: string): Promise<number> {
  const shot = await page.locator(selector).screenshot();
  return page.evaluate(
    async (bytes) => {
      const blob = new Blob([Uint8Array.from(bytes)], { type: 'image/png' });
      const image = await createImageBitmap(blob);
      const canvas = new OffscreenCanvas(image.width, image.height);
      const context = canvas.getContext('2d')!;
      context.drawImage(image, 0, 0);
      const { data } = context.getImageData(0, 0, image.width, image.height);
      const colors = new Set<number>();
      for (let i = 0; i < data.length; i += 4)
        colors.add((data[i]! << 16) | (data[i + 1]! << 8) | data[i + 2]!);
      return colors.size;
    },
    [...shot],
  );
}
