/** Microsoft's JavaScript client in Node.js, let in by Hubpass. Each test has a hub of its own. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { App, Client } from "./support/app.js";
import { Azure } from "./support/azure.js";
import { challenge, refused } from "./support/tokens.js";
import { within } from "./support/watchdog.js";

let azure;
let app;

before(async () => {
  azure = await Azure.start();
  app = await App.start(azure);
});

after(async () => {
  await app?.stop();
  await azure?.stop();
});

test("a client follows POST /negotiate into the service", async (t) => {
  const client = await Client.connect(t, app.hubUrl("way", { user_id: "ann" }));

  const [connection] = await azure.connections("way", 1);
  assert.equal(client.connection.connectionId, connection.connection_id);
  assert.ok(client.connection.baseUrl.startsWith(app.url));
  const [negotiated] = await azure.journal("way", "negotiate");
  const [connected] = await azure.journal("way", "connect");
  assert.deepEqual([negotiated.status, connected.status], [200, 101]);
  assert.equal(negotiated.connection_id, connected.connection_id);
  assert.match(negotiated.path, /hub=way&negotiateVersion=1/);
});

test("send_to_all reaches every client of the hub with its arguments", async (t) => {
  const args = ["Grüße ✓ 你好 🎉", 1.5, true, null, [1, [2]], { nested: { text: "<b>\u2028\"" } }];
  const clients = [
    await Client.connect(t, app.hubUrl("all", { user_id: "ann" })),
    await Client.connect(t, app.hubUrl("all", { user_id: "bob" })),
  ];

  await app.send("all", args);
  await app.send("all", ["last"]);

  for (const client of clients) assert.deepEqual(await client.messages(2), [args, ["last"]]);
});

test("user id and claims arrive as they were given", async (t) => {
  const claims = { role: "editor", level: 7, admin: false, teams: ["red", "blue"], name: "Zoë" };
  await Client.connect(t, app.hubUrl("who", { user_id: "ann@例え.jp", claims }));

  const [connection] = await azure.connections("who", 1);
  assert.equal(connection.user_id, "ann@例え.jp");
  for (const [name, value] of Object.entries(claims)) assert.deepEqual(connection.claims[name], value, name);
});

test("an anonymous client has no user id", async (t) => {
  await Client.connect(t, app.hubUrl("anonymous", { anonymous: true }));

  const [connection] = await azure.connections("anonymous", 1);
  assert.equal(connection.user_id, null);
});

test("an excluded connection does not get the message", async (t) => {
  const included = await Client.connect(t, app.hubUrl("excluded", { user_id: "ann" }));
  const excluded = await Client.connect(t, app.hubUrl("excluded", { user_id: "ann" }));

  await app.send("excluded", ["not for all"], { excluded: [excluded.connection.connectionId] });
  // Messages of one connection stay in order, so the second one shows that the first never comes.
  await app.send("excluded", ["for all"]);

  assert.deepEqual(await included.messages(2), [["not for all"], ["for all"]]);
  assert.deepEqual(await excluded.messages(1), [["for all"]]);
});

test("application names separate hubs of the same name", async (t) => {
  const red = await Client.connect(t, app.hubUrl("shared", { user_id: "ann" }, { application: "Red" }));
  const blue = await Client.connect(t, app.hubUrl("shared", { user_id: "ann" }, { application: "Blue" }));
  const plain = await Client.connect(t, app.hubUrl("shared", { user_id: "ann" }));
  for (const hub of ["red_shared", "blue_shared", "shared"]) await azure.connections(hub, 1);

  await app.send("shared", ["to red"], { application: "Red" });
  await app.send("shared", ["to blue"], { application: "Blue" });
  await app.send("shared", ["to neither"]);

  assert.deepEqual(await red.messages(1), [["to red"]]);
  assert.deepEqual(await blue.messages(1), [["to blue"]]);
  assert.deepEqual(await plain.messages(1), [["to neither"]]);
});

test("a token works until it expires, and an open connection outlives it", async (t) => {
  t.after(() => azure.resetClock());
  const { url, accessToken } = await app.negotiate("expiry", { user_id: "ann", lifetime: 60 });
  const withToken = { accessTokenFactory: () => accessToken };
  const open = await Client.connect(t, url, withToken);

  await azure.advanceClock(61);
  await refused(new Client(t, url, withToken), 401);
  assert.match(await challenge(url, accessToken), /The token is expired/);

  await app.send("expiry", ["still here"]);
  assert.deepEqual(await open.messages(1), [["still here"]]);

  // Nothing but the time was wrong.
  await azure.resetClock();
  await Client.connect(t, url, withToken);
});

test("closeOnAuthenticationExpiration ends the connection with its token", async (t) => {
  t.after(() => azure.resetClock());
  const options = { user_id: "ann", lifetime: 60 };
  const closing = await Client.connect(
    t,
    app.hubUrl("closing", { ...options, close_on_authentication_expiration: true }),
  );
  const staying = await Client.connect(t, app.hubUrl("closing", options));
  await app.send("closing", ["before"]);
  assert.deepEqual(await closing.messages(1), [["before"]]);

  await azure.advanceClock(61);

  const { error } = await within(closing.closed, "the end of the connection whose token expired");
  assert.equal(error, undefined);
  const [connection] = await azure.connections("closing", 1);
  assert.equal(connection.connection_id, staying.connection.connectionId);
  await app.send("closing", ["after"]);
  assert.deepEqual(await staying.messages(2), [["before"], ["after"]]);
  assert.deepEqual(closing.received, [["before"]]);
});

test("transports restrict the client to what the token allows", async (t) => {
  await Client.connect(t, app.hubUrl("transports", { user_id: "ann", transports: ["WebSockets", "LongPolling"] }));
  const [connection] = await azure.connections("transports", 1);
  assert.equal(connection.user_id, "ann");

  const options = { user_id: "bob", transports: ["ServerSentEvents"] };
  await assert.rejects(new Client(t, app.hubUrl("transports", options)).start(), /transports/);

  // A client that does not ask for the transports is stopped at the door.
  const { url, accessToken } = await app.negotiate("transports", options);
  const stubborn = new Client(t, url, { accessTokenFactory: () => accessToken, skipNegotiation: true });
  await assert.rejects(stubborn.start());
  assert.deepEqual((await azure.journal("transports", "connect")).map((entry) => entry.status), [101, 404]);
});

test("service mode Default gives the service's own error", async (t) => {
  t.after(() => azure.setServiceMode("Serverless"));
  const url = app.hubUrl("mode", { user_id: "ann" });

  await azure.setServiceMode("Default");
  await assert.rejects(new Client(t, url).start(), /'Default' service mode.*app servers are not connected/);

  await azure.setServiceMode("Serverless");
  await Client.connect(t, url);
});

test("a token that is signed with a wrong key is refused", async (t) => {
  t.after(() => app.updateKey(azure.accessKey));
  const url = app.hubUrl("key", { user_id: "ann" });

  await app.updateKey("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=");
  await refused(new Client(t, url), 401);
  const wrong = await app.negotiate("key", { user_id: "ann" });
  assert.match(await challenge(wrong.url, wrong.accessToken), /The signature key was not found/);

  await app.updateKey(azure.accessKey);
  await Client.connect(t, url);
});

test("after a rotation old tokens are refused and an updated credential is let in", async (t) => {
  t.after(() => app.updateKey(azure.accessKey));
  const url = app.hubUrl("rotation", { user_id: "ann" });
  const old = await app.negotiate("rotation", { user_id: "ann" });
  const open = await Client.connect(t, url);

  await azure.rotateKey();
  await refused(new Client(t, old.url, { accessTokenFactory: () => old.accessToken }), 401);
  await refused(new Client(t, url), 401);

  await app.updateKey(azure.accessKey);
  const fresh = await Client.connect(t, url);
  await app.send("rotation", ["hello"]);
  assert.deepEqual(await open.messages(1), [["hello"]]);
  assert.deepEqual(await fresh.messages(1), [["hello"]]);
});
