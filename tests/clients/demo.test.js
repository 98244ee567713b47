/** The demo's own promises: it ends in order, leaves nothing behind, and says what went wrong. */

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { test } from "node:test";

import { allGone, Demo } from "./support/demo.js";
import { kidOf } from "./support/tokens.js";
import { within } from "./support/watchdog.js";

test("SIGTERM ends the demo, which ends the local Azure", async (t) => {
  const demo = new Demo(t);
  await demo.page();
  const children = demo.children();
  assert.equal(children.length, 1);

  demo.child.kill("SIGTERM");

  assert.deepEqual(await ended(demo), { code: 0, signal: null });
  assert.equal(demo.errors, "");
  await allGone(children);
});

test("the chat has no key but those that its managed identity gets", async (t) => {
  const demo = new Demo(t);
  const page = await demo.page();

  const answer = await fetch(`${page}chat/negotiate?user=Ann`, { method: "POST" });
  const kid = kidOf((await answer.json()).accessToken);
  await demo.printed(new RegExp(`^ *[0-9:]{8}  The temporary key ${kid} signs from now on\\.$`, "m"));

  const health = await (await fetch(`${page}health`)).json();
  assert.deepEqual([health.mode, health.credential, health.ready], ["entra", "ManagedIdentityCredential", true]);
  await demo.printed(new RegExp(health.kid));
});

test("the demo says when the local Azure is gone", async (t) => {
  const demo = new Demo(t);
  await demo.page();

  process.kill(demo.children()[0], "SIGKILL");

  assert.deepEqual(await ended(demo), { code: 1, signal: null });
  assert.match(demo.errors, /^demo: the local Azure ended/im);
});

test("the demo says when the web server is gone", async (t) => {
  const broken = await mkdtemp(join(tmpdir(), "hubpass-"));
  t.after(() => rm(broken, { recursive: true }));
  await writeFile(join(broken, "fastapi.py"), "");
  const path = [broken, process.env.PYTHONPATH].filter(Boolean).join(delimiter);
  const demo = new Demo(t, { environment: { PYTHONPATH: path } });

  assert.deepEqual(await ended(demo), { code: 1, signal: null });
  assert.match(demo.errors, /^demo: The web server ended unexpectedly\.$/m);
});

test("the demo says when its port is taken", async (t) => {
  const other = createServer();
  t.after(() => other.close());
  await new Promise((resolve) => other.listen(0, "127.0.0.1", resolve));
  const { port } = other.address();

  const demo = new Demo(t, { argv: ["--port", String(port)] });

  assert.deepEqual(await ended(demo), { code: 1, signal: null });
  assert.match(demo.errors, new RegExp(`^demo: The web server cannot listen on port ${port}: `));
});

function ended(demo) {
  return within(demo.ended, "the end of the demo");
}
