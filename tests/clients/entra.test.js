/** Microsoft's JavaScript client, let in with temporary keys that Entra has bought. Each test has a hub of its own. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { App, Client } from "./support/app.js";
import { Azure } from "./support/azure.js";
import { challenge, KEY_NOT_FOUND, kidOf, refused } from "./support/tokens.js";
import { eventually } from "./support/watchdog.js";

const ANN = { user_id: "ann" };

let azure;
let app;

before(async () => {
  azure = await Azure.start();
  app = await App.startEntra(azure);
});

after(async () => {
  await app?.stop();
  await azure?.stop();
});

test("a client is let in by a temporary key, and hears what Entra lets the server send", async (t) => {
  const client = await Client.connect(t, app.hubUrl("way", ANN));

  const [{ user_id, hub }] = await azure.connections("way", 1);
  assert.deepEqual([user_id, hub], ["ann", "way"]);
  const keys = (await azure.state()).temporary_keys.map((key) => key.kid);
  for (const route of ["negotiate", "connect"]) {
    const [{ kid }] = await azure.journal("way", route);
    assert.ok(keys.includes(kid), route);
  }
  await app.send("way", ["hello"]);
  assert.deepEqual(await client.messages(1), [["hello"]]);
  const [{ object_id }] = await azure.journal("way", "send");
  assert.ok(object_id);
});

test("clients are let in before, during and after a rotation, and none is lost", async (t) => {
  t.after(() => azure.release());
  const restless = await App.startEntra(azure, { renewAtOnce: true });
  t.after(() => restless.stop());
  const url = restless.hubUrl("rotation", ANN);
  const clients = [await Client.connect(t, url)];

  await azure.holdNext("access_key");
  const old = await eventually(async () => {
    const answer = await restless.negotiate("rotation", ANN);
    return (await azure.state()).held.length === 1 && answer;
  }, "a renewal that is held");
  // The renewal does not end before the test says so, and nobody waits for it.
  clients.push(await Client.connect(t, url));

  const next = await azure.rotateTemporaryKey();
  assert.equal(await azure.release(), 1);
  await eventually(
    async () => kidOf((await restless.negotiate("rotation", ANN)).accessToken) === next,
    "a token that the new key has signed",
  );
  clients.push(await Client.connect(t, url));
  // What the old key has signed is good as long as that key lives.
  clients.push(await Client.connect(t, old.url, { accessTokenFactory: () => old.accessToken }));

  const kid = kidOf(old.accessToken);
  assert.notEqual(kid, next);
  assert.deepEqual((await azure.journal("rotation", "connect")).map((entry) => entry.kid), [kid, kid, next, kid]);
  await restless.send("rotation", ["hello"]);
  for (const client of clients) assert.deepEqual(await client.messages(1), [["hello"]]);
});

test("a revoked key lets nobody in until it is reported, and open connections outlive it", async (t) => {
  const url = app.hubUrl("revocation", ANN);
  const old = await app.negotiate("revocation", ANN);
  const kid = kidOf(old.accessToken);
  const open = await Client.connect(t, url);

  await azure.revokeTemporaryKey(kid);
  await refused(new Client(t, old.url, { accessTokenFactory: () => old.accessToken }), 401);
  assert.match(await challenge(old.url, old.accessToken), KEY_NOT_FOUND);
  // The service tells only the client, so the server goes on to sign with the dead key.
  await refused(new Client(t, url), 401);

  assert.equal(await app.invalidateKey("revocation", kid), true);
  const fresh = await Client.connect(t, url);
  const [first, second] = (await azure.journal("revocation", "connect")).map((entry) => entry.kid);
  assert.equal(first, kid);
  assert.notEqual(second, kid);
  assert.equal(await app.invalidateKey("revocation", kid), false);

  await app.send("revocation", ["hello"]);
  for (const client of [open, fresh]) assert.deepEqual(await client.messages(1), [["hello"]]);
});

test("a key that has died of age lets nobody in, and open connections outlive it", async (t) => {
  const { key_life: life } = await azure.state();
  t.after(() => azure.setKeyLife(life));
  const { url, accessToken } = await app.negotiate("age", ANN);
  const withToken = { accessTokenFactory: () => accessToken };
  const open = await Client.connect(t, url, withToken);

  await azure.setKeyLife(0.001);
  await refused(new Client(t, url, withToken), 401);
  assert.match(await challenge(url, accessToken), KEY_NOT_FOUND);

  // Nothing but the key's age was wrong.
  await azure.setKeyLife(life);
  const fresh = await Client.connect(t, url, withToken);
  await app.send("age", ["hello"]);
  for (const client of [open, fresh]) assert.deepEqual(await client.messages(1), [["hello"]]);
});

test("with local authentication disabled the access key is refused and Entra is not", async (t) => {
  t.after(() => azure.setLocalAuthDisabled(false));
  const shared = await App.start(azure);
  t.after(() => shared.stop());
  const { url, accessToken } = await shared.negotiate("local", ANN);

  await azure.setLocalAuthDisabled(true);
  await refused(new Client(t, shared.hubUrl("local", ANN)), 401);
  assert.match(await challenge(url, accessToken), KEY_NOT_FOUND);
  const client = await Client.connect(t, app.hubUrl("local", ANN));
  await assert.rejects(shared.send("local", ["with the access key"]), /502 .*"unauthorized"/);
  await app.send("local", ["with Entra"]);
  assert.deepEqual(await client.messages(1), [["with Entra"]]);

  // Nothing but local authentication was wrong.
  await azure.setLocalAuthDisabled(false);
  await Client.connect(t, shared.hubUrl("local", ANN));
});
