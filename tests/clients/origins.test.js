/** Pages of other origins in a browser, with cookies: those that are allowed get in, and the others get nothing. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { Azure } from "./support/azure.js";
import { launchChromium } from "./support/chromium.js";
import { PythonProgram } from "./support/python.js";
import { eventually, LIMIT_MS } from "./support/watchdog.js";

const CLIENT = fileURLToPath(new URL("node_modules/@microsoft/signalr/dist/browser/signalr.js", import.meta.url));

let azure;
let browser;
let app;
let url;
/** Two servers of pages. They and the application are one site, so that the browser sends its cookie for both. */
let ours;
let theirs;

before(async () => {
  [ours, theirs] = await Promise.all([pages(), pages()]);
  azure = await Azure.start();
  const environment = { SIGNALR_CONNECTION_STRING: azure.connectionString, PAGE_ORIGIN: ours.origin };
  app = new PythonProgram(["tests/clients/mounted_app.py"], { environment });
  [, url] = await app.printed(/"url": "(.*?)"/);
  browser = await launchChromium();
});

after(async () => {
  await browser?.close();
  await app?.stop();
  await azure?.stop();
  ours?.server.close();
  theirs?.server.close();
});

test("a page of an allowed origin connects with its cookie, and receives", async (t) => {
  const page = await openPage(t, ours.origin, { signedIn: true });
  await connect(page);
  const [connection] = await azure.connections("chat", 1);
  assert.equal(connection.user_id, "ann");

  await fetch(`${url}/send?text=hello`, { method: "POST" });
  await page.waitForFunction(() => window.received.length === 1);
  assert.deepEqual(await page.evaluate(() => window.received), [["hello"]]);
  await page.evaluate(() => window.connection.stop());
  await azure.connections("chat", 0);

  const { requests, asked } = await seen();
  const origin = ours.origin;
  assert.deepEqual(requests, [
    { method: "OPTIONS", origin, status: 204, cookie: null },
    { method: "POST", origin, status: 200, cookie: "ann" },
  ]);
  assert.deepEqual(asked, ["ann"]);
});

test("a page of an allowed origin is told that nobody is signed in", async (t) => {
  const page = await openPage(t, ours.origin);
  await assert.rejects(connect(page), /Status code '401'/);
  const { requests, asked } = await seen();
  assert.deepEqual(requests.map(({ method, status }) => [method, status]), [["OPTIONS", 204], ["POST", 401]]);
  assert.deepEqual(asked, [null]);
});

test("a page of a foreign origin does not get past its preflight", async (t) => {
  const page = await openPage(t, theirs.origin, { signedIn: true });
  const complaints = [];
  page.on("console", (message) => complaints.push(message.text()));
  await assert.rejects(connect(page), /Failed to fetch/);
  assert.match(complaints.join("\n"), /blocked by CORS policy/);
  const { requests, asked } = await seen();
  assert.deepEqual(requests, [{ method: "OPTIONS", origin: theirs.origin, status: 403, cookie: null }]);
  assert.deepEqual(asked, []);
});

test("a request that needs no preflight is refused although it has the cookie", async (t) => {
  const page = await openPage(t, theirs.origin, { signedIn: true });
  const answer = await page.evaluate(async (address) => {
    const options = { method: "POST", credentials: "include" };
    const readable = await fetch(address, options).catch((error) => error.message);
    const opaque = await fetch(address, { ...options, mode: "no-cors" });
    return [readable, opaque.type, await opaque.text()];
  }, `${url}/chat/negotiate`);
  assert.deepEqual(answer, ["Failed to fetch", "opaque", ""]);
  const { requests, asked } = await seen();
  const refused = { method: "POST", origin: theirs.origin, status: 403, cookie: "ann" };
  assert.deepEqual(requests, [refused, refused]);
  assert.deepEqual(asked, []);
});

test("a form, a frame that is sandboxed, and a page of another site are refused too", async (t) => {
  const page = await openPage(t, theirs.origin, { signedIn: true });
  await page.evaluate((address) => {
    document.body.innerHTML = `<form method="post" action="${address}"></form>`;
    document.forms[0].submit();
  }, `${url}/chat/negotiate`);
  await refused("POST", theirs.origin);

  const framed = await openPage(t, ours.origin, { signedIn: true });
  await framed.evaluate((address) => {
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts";
    frame.srcdoc = `<script>fetch("${address}", { method: "POST", credentials: "include" }).catch(() => {})</script>`;
    document.body.append(frame);
  }, `${url}/chat/negotiate`);
  await refused("POST", "null");

  const elsewhere = ours.origin.replace("127.0.0.1", "localhost");
  const other = await openPage(t, elsewhere, { signedIn: true });
  await assert.rejects(connect(other), /Failed to fetch/);
  await refused("OPTIONS", elsewhere);
});

test("a page of the application itself needs no permission", async (t) => {
  const page = await openPage(t, url, { signedIn: true, path: "/openapi.json" });
  await connect(page);
  await azure.connections("chat", 1);
  await page.evaluate(() => window.connection.stop());
  await azure.connections("chat", 0);
  const { requests } = await seen();
  assert.deepEqual(requests, [{ method: "POST", origin: url, status: 200, cookie: "ann" }]);
});

/** A page of an origin, in a browser that is signed in at the application or not. */
async function openPage(t, origin, { signedIn = false, path = "/" } = {}) {
  const window = await browser.newContext();
  t.after(() => window.close());
  const page = await window.newPage();
  page.setDefaultTimeout(LIMIT_MS);
  if (signedIn) await page.goto(`${url}/login`);
  await page.goto(origin + path);
  await page.addScriptTag({ path: CLIENT });
  return page;
}

/** What a page does that wants to chat; it sends cookies, as Microsoft's client does if nothing else is said. */
function connect(page) {
  return page.evaluate(async (address) => {
    window.received = [];
    window.connection = new signalR.HubConnectionBuilder()
      .withUrl(address, { withCredentials: true })
      .configureLogging(signalR.LogLevel.None)
      .build();
    window.connection.on("message", (...args) => window.received.push(args));
    await window.connection.start();
  }, `${url}/chat`);
}

/** What has come to the route since it was last asked. */
async function seen() {
  return (await fetch(`${url}/seen`)).json();
}

/** Wait for one request, which must have been refused before anybody was asked who sent it. */
async function refused(method, origin) {
  const { requests, asked } = await eventually(async () => {
    const found = await seen();
    return found.requests.length > 0 && found;
  }, `a ${method} from ${origin}`);
  assert.deepEqual(requests.map((one) => [one.method, one.status, one.origin]), [[method, 403, origin]]);
  assert.deepEqual(asked, []);
}

/** A server of empty pages, reachable as 127.0.0.1 and as localhost. */
async function pages() {
  const server = createServer((_, answer) => {
    answer.setHeader("Content-Type", "text/html");
    answer.end("<!doctype html><title>a page</title><link rel=icon href=data:,>");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, origin: `http://127.0.0.1:${server.address().port}` };
}
