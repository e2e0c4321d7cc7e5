// Opens the dashboard in Chromium, light and dark, and prints what was seen as JSON.
// Usage: node dashboard.mjs ADDRESS FOLDER
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [address, folder] = process.argv.slice(2);
const profile = mkdtempSync(join(tmpdir(), "dashboard-"));
const options = {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
};

// The first number of an element's text, 0 where it has none. Runs in the page.
const number = (id) => Number((document.getElementById(id)?.textContent ?? "").replaceAll(",", "").match(/[\d.]+/)?.[0] ?? 0);

// Relative luminance of the page and its text, from 0 (black) to 1. Runs in the page.
const brightness = () => {
  const of = (colour) => {
    const [r, g, b, alpha = 1] = colour.match(/[\d.]+/g).map(Number);
    return alpha === 0 ? null : (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
  };
  const body = getComputedStyle(document.body);
  const root = getComputedStyle(document.documentElement);
  return { page: of(body.backgroundColor) ?? of(root.backgroundColor), text: of(body.color) };
};

async function look(browser, theme) {
  const context = await browser.newContext({ colorScheme: theme, viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  const seen = { complaints: [], elsewhere: [] };
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && seen.complaints.push(message.text()));
  page.on("pageerror", (error) => seen.complaints.push(String(error)));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(address) && !/^(data|blob):/.test(url)) seen.elsewhere.push(url);
  });
  await page.goto(address, { waitUntil: "load" });
  for (const id of ["offered", "admitted", "goodput", "p50", "p99"]) await page.waitForFunction(number, id, { timeout: 15000 });
  seen.live = {};
  for (const id of ["offered", "admitted", "goodput"]) seen.live[id] = await page.evaluate(number, id);
  seen.text = {};
  await page.waitForSelector("#advice tbody tr");
  for (const id of ["p50", "p99", "config-hash", "upstreams", "limits", "pressure", "signals", "advice"]) seen.text[id] = await page.locator(`#${id}`).innerText();
  seen.brightness = await page.evaluate(brightness);
  await page.screenshot({ path: join(folder, `dashboard-${theme}.png`), fullPage: true });
  await page.setViewportSize({ width: 390, height: 844 });
  seen.overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  await page.screenshot({ path: join(folder, `dashboard-${theme}-narrow.png`), fullPage: true });
  await context.close();
  return seen;
}

const browser = await chromium.launch({ ...options, env: { ...process.env, HOME: profile } });
try {
  const seen = {};
  for (const theme of ["light", "dark"]) seen[theme] = await look(browser, theme);
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
