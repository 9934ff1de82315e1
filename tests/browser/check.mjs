// Open pages in Chromium, on a phone and on a dark desk: node check.mjs CHROMIUM SCREENSHOTS PAGE...
// Complains of whatever a reader would: console errors, requests, dialogs, overflow, what axe-core finds.
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import axe from "axe-core";
import { chromium } from "playwright-core";

const [executablePath, screenshots, ...pages] = process.argv.slice(2);
const quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath, args: quiet });
let failed = 0;

for (const file of pages) {
  await Promise.all([[360, "light"], [1440, "dark"]].map(async ([width, colorScheme]) => {
    const problems = [];
    const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme, bypassCSP: false });
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && problems.push(message.text()));
    page.on("pageerror", (error) => problems.push(`script: ${error.message}`));
    page.on("dialog", (dialog) => { problems.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    page.on("request", (request) => /^(file|data):/.test(request.url()) || problems.push(`request: ${request.url()}`));
    await page.goto(pathToFileURL(resolve(file)).href);
    await page.evaluate(() => document.querySelectorAll("details").forEach((e) => (e.open = true)));
    const found = await page.evaluate(() => ({
      overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      scripts: document.scripts.length,
      handlers: [...document.querySelectorAll("*")].filter((e) => [...e.attributes].some((a) => a.name.startsWith("on"))).length,
      dangling: [...document.querySelectorAll("a[href^='#']")].filter((a) => !document.getElementById(a.hash.slice(1))).length,
      broken: [...document.images].filter((picture) => !picture.naturalWidth || !picture.alt).length,
      dark: matchMedia("(prefers-color-scheme: dark)").matches,
    }));
    if (found.overflow > 0) problems.push(`the page is ${found.overflow} px wider than ${width}`);
    for (const kind of ["scripts", "handlers", "dangling", "broken"]) if (found[kind]) problems.push(`${found[kind]} ${kind}`);
    if (found.dark !== (colorScheme === "dark")) problems.push("the colours are not those of the system");
    // The page forbids every script, so the checker comes in by the debugger, in a world of its own.
    const client = await page.context().newCDPSession(page);
    const { frameTree } = await client.send("Page.getFrameTree");
    const { executionContextId: contextId } = await client.send("Page.createIsolatedWorld",
      { frameId: frameTree.frame.id, worldName: "axe" });
    await client.send("Runtime.evaluate", { expression: axe.source, contextId });
    const { result } = await client.send("Runtime.evaluate",
      { expression: "axe.run(document).then((r) => JSON.stringify(r.violations))", contextId, awaitPromise: true });
    for (const violation of JSON.parse(result.value)) {
      problems.push(`${violation.id}: ${violation.help}; ${violation.nodes.length} x ${violation.nodes[0].html.slice(0, 120)}`);
    }
    await page.screenshot({ path: `${screenshots}/${basename(file, ".html")}-${width}.png`, fullPage: true });
    await page.close();
    console.log(`${basename(file)} at ${width} px: ${problems.length ? "" : "fine"}`);
    for (const problem of problems) console.log(`  ${problem}`);
    failed += problems.length;
  }));
}
await browser.close();
process.exit(failed ? 1 : 0);
