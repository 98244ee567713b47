/** The demo in a browser: tabs chat, do not notice that keys rotate, and notice when the demo ends. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launchChromium } from "./support/chromium.js";
import { allGone, Demo } from "./support/demo.js";
import { kidOf } from "./support/tokens.js";
import { eventually, LIMIT_MS, within } from "./support/watchdog.js";

let browser;

before(async () => {
  browser = await launchChromium();
});

after(() => browser?.close());

test("two tabs chat through the service until Ctrl-C ends the demo", async (t) => {
  const demo = new Demo(t);
  const page = await demo.page();
  const window = await openWindow(t);
  const ann = await Tab.open(window, page);
  const bob = await Tab.open(window, page);

  await ann.join("Ann");
  await bob.join("Bob Ø.");
  await ann.say("Hello, Bob!");
  await bob.shows("Ann", "Hello, Bob!");
  await bob.say("<img src=x onerror=alert(1)> & more 🎉");
  await bob.shows("Bob Ø.", "<img src=x onerror=alert(1)> & more 🎉");
  const [user, text] = ["<b>Eve", "Anyone can post any name."];
  await bob.page.request.post(`${page}messages`, { data: { user, text } });

  const expected = [
    ["Ann", "Hello, Bob!"],
    ["Bob Ø.", "<img src=x onerror=alert(1)> & more 🎉"],
    ["<b>Eve", "Anyone can post any name."],
  ];
  for (const tab of [ann, bob]) {
    await tab.shows(user, text);
    assert.deepEqual(await tab.messages(), expected);
    assert.equal(await tab.page.locator("#messages img, #messages b").count(), 0);
    assert.deepEqual(tab.troubles, []);
  }

  // The page comes from the application, everything of the service from another origin, which needs CORS.
  const origin = new URL(page).origin;
  for (const tab of [ann, bob]) {
    const [ours, theirs] = tab.negotiations;
    assert.equal(new URL(ours.url()).origin, origin);
    assert.notEqual(new URL(theirs.url()).origin, origin);
    assert.equal((await theirs.request().allHeaders()).origin, origin);
    assert.equal(await theirs.headerValue("access-control-allow-origin"), origin);
    assert.deepEqual(tab.sockets, [new URL(theirs.url()).host]);
  }

  const children = demo.children();
  assert.equal(children.length, 1);
  demo.pressCtrlC();
  assert.deepEqual(await within(demo.ended, "the end of the demo"), { code: 0, signal: null });
  assert.equal(demo.errors, "");
  await allGone(children);
  for (const tab of [ann, bob]) {
    await tab.hasState(/^(reconnecting|disconnected)$/);
    await eventually(() => tab.closedSockets.length === 1, "the end of a tab's connection");
  }
});

test("tabs stay connected while keys rotate, and a third one joins with a later key", async (t) => {
  const demo = new Demo(t);
  const page = await demo.page();
  const window = await openWindow(t);
  const ann = await Tab.open(window, page);
  const bob = await Tab.open(window, page);
  await ann.join("Ann");
  await bob.join("Bob");

  const early = [await ann.kid(), await bob.kid()];
  for (let rotations = 0; rotations < 2; rotations += 1) {
    await demo.rotation();
    const kid = demo.keys.at(-1);
    assert.ok(!early.includes(kid));
    for (const tab of [ann, bob]) await tab.showsKey(kid);
  }

  const cat = await Tab.open(window, page);
  await cat.join("Cat");
  await demo.printed(new RegExp(await cat.kid()));
  assert.ok(demo.keys.indexOf(await cat.kid()) > Math.max(...early.map((kid) => demo.keys.indexOf(kid))));
  await cat.say("Did you notice?");
  for (const tab of [ann, bob, cat]) {
    await tab.shows("Cat", "Did you notice?");
    assert.equal(tab.negotiations.length, 2);
    assert.equal(tab.sockets.length, 1);
    assert.deepEqual(tab.closedSockets, []);
    assert.deepEqual(tab.troubles, []);
  }
});

test("a tab tells why it cannot join or send, and can join again", async (t) => {
  const demo = new Demo(t);
  const tab = await Tab.open(await openWindow(t), await demo.page());
  const alert = (id) => tab.page.locator(id).filter({ hasText: /\S/ });

  await tab.page.route("**/chat/negotiate*", (route) => route.fulfill({ status: 503 }), { times: 1 });
  await tab.page.fill("#name", "Ann");
  await tab.page.click("#join button");
  await alert("#trouble").filter({ hasText: "503" }).waitFor();
  await tab.hasState(/^disconnected$/);

  await tab.join("Ann");
  await tab.page.route("**/messages", (route) => route.fulfill({ status: 502 }), { times: 1 });
  await tab.page.fill("#text", "kept");
  await tab.page.click("#say button");
  await alert("#failure").filter({ hasText: "502" }).waitFor();
  assert.equal(await tab.page.inputValue("#text"), "kept");
  await tab.page.click("#say button");
  await tab.shows("Ann", "kept");
  assert.deepEqual(await tab.messages(), [["Ann", "kept"]]);
});

/** A window with a profile of its own, which is closed when the test `t` ends. */
async function openWindow(t) {
  const window = await browser.newContext();
  t.after(() => window.close());
  return window;
}

/** One tab with the demo's page, and what happened in it. */
class Tab {
  /** Errors of the page's code and of the browser's console. */
  troubles = [];
  /** Answers to negotiations, preflights left out. */
  negotiations = [];
  /** Hosts to which WebSockets were opened. */
  sockets = [];
  /** Hosts whose WebSockets are gone. */
  closedSockets = [];

  static async open(window, url) {
    const tab = new Tab();
    tab.page = await window.newPage();
    tab.page.setDefaultTimeout(LIMIT_MS);
    tab.page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) tab.troubles.push(message.text());
    });
    tab.page.on("pageerror", (error) => tab.troubles.push(String(error)));
    tab.page.on("response", (response) => {
      const isPost = response.request().method() === "POST";
      if (isPost && response.url().includes("/negotiate")) tab.negotiations.push(response);
    });
    tab.page.on("websocket", (socket) => {
      const { host } = new URL(socket.url());
      tab.sockets.push(host);
      socket.on("close", () => tab.closedSockets.push(host));
    });
    await tab.page.goto(url);
    return tab;
  }

  async join(name) {
    await this.page.fill("#name", name);
    await this.page.click("#join button");
    await this.hasState(/^connected$/);
  }

  /** The name of the key that let this tab in. */
  async kid() {
    return kidOf((await this.negotiations[0].json()).accessToken);
  }

  /** Wait until the page shows the key that signs now. */
  async showsKey(kid) {
    await this.page.locator("#key").filter({ hasText: `Key ${kid.slice(0, 8)} signs now` }).waitFor();
  }

  async hasState(pattern) {
    await this.page.waitForFunction(
      (source) => new RegExp(source).test(document.getElementById("state").dataset.state),
      pattern.source,
    );
  }

  async say(text) {
    await this.page.fill("#text", text);
    await this.page.press("#text", "Enter");
  }

  /** Wait for a message. */
  async shows(from, text) {
    await this.page.waitForFunction(
      (expected) =>
        [...document.querySelectorAll("#messages li")].some((item) => item.textContent === expected),
      from + text,
    );
  }

  /** All messages as pairs of sender and text. */
  messages() {
    return this.page.$$eval("#messages li", (items) =>
      items.map((item) => [...item.children].map((part) => part.textContent)),
    );
  }
}
