import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import type { Report } from '../report/report.js';
import { writeReport } from '../report/write-report.js';
import { HOSTILE, testReport } from '../testing/test-report.js';
import { colorsOf, describeInBrowser, drawn, openBrowser, openPage } from './test-browser.js';

describeInBrowser('a report in a browser', () => {
  const folder = mkdtempSync(join(tmpdir(), 'spatialsv-report-'));
  let report: Report;
  let browser: Browser;
  let page: Page;
  let complaints: string[];

  beforeAll(async () => {
    report = await testReport(folder);
    const file = join(folder, 'report.html');
    await writeReport(report, file);
    browser = await openBrowser();
    ({ page, complaints } = await openPage(browser, pathToFileURL(file).href));
  });
  afterAll(async () => {
    await browser.close();
    rmSync(folder, { recursive: true });
  });

  const heading = () => page.locator('h2').textContent();
  const ids = () => page.locator('.list b').allTextContents();
  const panes = () => page.locator('.pane-titles span').allTextContents();

  it('shows the scene, the answers and every text as text, from a file', async () => {
    expect(await page.title()).toBe(report.title);
    expect(await page.locator('.question-text').textContent()).toBe(`Where? ${HOSTILE}`);
    expect(await page.evaluate(() => 'hacked' in window)).toBe(false);
    expect(await panes()).toEqual(['Label', 'base', 'spatialsv']);
    expect(await page.locator('.verdict').allTextContents()).toEqual(['✓ right', '✗ wrong']);
    expect(await colorsOf(page, '.stage canvas')).toBeGreaterThan(50);
    expect(await page.locator('.view').count()).toBe(3);
  });

  it('leaves out points below the threshold', async () => {
    const before = await colorsOf(page, '.stage canvas');
    const slider = page.getByRole('slider', { name: 'Leave out' });
    await slider.fill('95');
    expect(await slider.getAttribute('aria-valuetext')).toBe('95 % least confident');
    await drawn(page);
    expect(await colorsOf(page, '.stage canvas')).toBeLessThan(before);
    await slider.fill('10');
  });

  it('goes through the questions and around the scene by keys', async () => {
    await page.locator('h2').click();
    await page.keyboard.press('ArrowRight');
    expect(await heading()).toBe('q2');
    await drawn(page);
    expect(await panes()).toEqual(['spatialsv']);
    await page.keyboard.press('ArrowRight');
    expect(await heading()).toBe('q3');
    expect(await page.locator('.stage').isVisible()).toBe(false);
    await page.getByRole('listbox').focus();
    await page.keyboard.press('Home');
    expect(await heading()).toBe('q1');
    const canvas = page.locator('.stage canvas');
    await canvas.focus();
    await drawn(page);
    const still = await canvas.screenshot();
    await page.keyboard.press('ArrowLeft');
    await drawn(page);
    expect((await canvas.screenshot()).equals(still)).toBe(false);
    expect(await heading()).toBe('q1');
  });

  it('shows wrong answers alone, and the largest error first', async () => {
    await page.getByLabel('Show').selectOption('second');
    expect(await ids()).toEqual(['q2']);
    await page.getByLabel('Show').selectOption('all');
    await page.getByLabel('Sort').selectOption('error');
    expect(await ids()).toEqual(['q3', 'q2', 'q1']);
    await page.getByLabel('Search').fill('nothing');
    expect([await ids(), await heading()]).toEqual([['q3'], 'q3']);
    await page.getByLabel('Search').fill('');
  });

  it('fits a phone: nothing is wider than it, the questions fold away', async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    await drawn(page);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThan(361);
    expect(await page.locator('.list').isVisible()).toBe(false);
  });

  it('has nothing to complain about', () => {
    expect(complaints).toEqual([]);
  });

  it('reads scenes beside it, and says when one is missing', async () => {
    const out = join(folder, 'beside');
    const { page: index } = await writeReport(report, out);
    rmSync(join(out, 'scenes/b.js'));
    await page.goto(pathToFileURL(index).href);
    await drawn(page);
    expect(await colorsOf(page, '.stage canvas')).toBeGreaterThan(50);
    await page.getByRole('button', { name: 'Next question' }).click();
    expect(await page.getByRole('alert').textContent()).toContain('scenes/b.js is not beside');
  });
});
