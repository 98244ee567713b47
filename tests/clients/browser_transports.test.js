/** Microsoft's JavaScript client in a browser over each transport: what it sends there differs from Node.js. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { HttpTransportType } from "@microsoft/signalr";

import { App } from "./support/app.js";
import { Azure } from "./support/azure.js";
import { launchChromium } from "./support/chromium.js";
import { LIMIT_MS } from "./support/watchdog.js";

const CLIENT = fileURLToPath(new URL("node_modules/@microsoft/signalr/dist/browser/signalr.js", import.meta.url));

let azure;
let app;
let browser;

before(async () => {
  azure = await Azure.start();
  app = await App.start(azure);
  browser = await launchChromium();
});

after(async () => {
  await browser?.close();
  await app?.stop();
  await azure?.stop();
});

for (const name of ["WebSockets", "ServerSentEvents", "LongPolling"]) {
  test(`${name}: join from another origin, receive, invoke, and leave`, async (t) => {
    const hub = `browser_${name.toLowerCase()}`;
    const page = await browser.newPage();
    t.after(() => page.close());
    page.setDefaultTimeout(LIMIT_MS);
    const requests = [];
    page.on("request", (request) => requests.push(request));
    // Any page of the application will do; the service is another origin.
    await page.goto(`${app.url}/openapi.json`);
    await page.addScriptTag({ path: CLIENT });

    await page.evaluate(
      async ({ url, transport }) => {
        window.received = [];
        window.connection = new signalR.HubConnectionBuilder()
          .withUrl(url, { transport })
          .configureLogging(signalR.LogLevel.None)
          .build();
        window.connection.on("message", (...args) => window.received.push(args));
        await window.connection.start();
      },
      { url: app.hubUrl(hub, { user_id: "ann" }), transport: HttpTransportType[name] },
    );
    const [connection] = await azure.connections(hub, 1);
    assert.deepEqual([connection.transport, connection.user_id], [name, "ann"]);

    await app.send(hub, ["Grüße ✓"]);
    await page.waitForFunction(() => window.received.length === 1);
    assert.deepEqual(await page.evaluate(() => window.received), [["Grüße ✓"]]);
    const refusal = await page.evaluate(() => window.connection.invoke("ask").catch((error) => error.message));
    assert.match(refusal, /no upstream is configured for 'ask'/);

    await page.evaluate(() => window.connection.stop());
    await azure.connections(hub, 0);

    const streams = requests.filter((request) => new URL(request.url()).pathname === "/client/");
    const tokens = streams.filter((request) => request.url().includes("access_token="));
    const expected = { WebSockets: [], ServerSentEvents: ["GET"], LongPolling: [] };
    assert.deepEqual(tokens.map((request) => request.method()), expected[name]);
  });
}
