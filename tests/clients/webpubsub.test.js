/** Microsoft's JavaScript client of Web PubSub in Node.js against the local Azure. Each test has a hub of its own. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { WebPubSubJsonProtocol, WebPubSubJsonReliableProtocol } from "@azure/web-pubsub-client";

import { Azure } from "./support/azure.js";
import { within } from "./support/watchdog.js";
import { Client, Server } from "./support/web_pubsub.js";

const BOTH = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];
const ONCE = { messageRetryOptions: { maxRetries: 0 } };

let azure;
let server;

before(async () => {
  azure = await Azure.start();
  server = new Server(azure);
});

after(() => azure?.stop());

for (const [name, protocol, subprotocol] of [
  ["json", WebPubSubJsonProtocol, "json.webpubsub.azure.v1"],
  ["reliable", WebPubSubJsonReliableProtocol, "json.reliable.webpubsub.azure.v1"],
]) {
  test(`a ${name} client joins, sends, hears and leaves`, async (t) => {
    const hub = `talk_${name}`;
    const url = server.clientUrl(hub, { userId: "ann", roles: BOTH });
    const ann = await Client.connect(t, url, { protocol: protocol() });
    const member = await Client.connect(t, server.clientUrl(hub, { groups: ["g"] }), { protocol: protocol() });

    await ann.client.joinGroup("g");
    const [first, second] = await azure.connections(hub, 2);
    assert.deepEqual([first.connection_id, first.user_id, first.groups], [ann.connectionId, "ann", ["g"]]);
    assert.deepEqual([first.subprotocol, second.groups], [subprotocol, ["g"]]);

    await ann.client.sendToGroup("g", { text: "Grüße ✓ 🎉" }, "json");
    await ann.client.sendToGroup("g", "only for others", "text", { noEcho: true });
    await ann.client.sendToGroup("g", new Uint8Array([0, 255]).buffer, "binary");
    const heard = (await member.messages(3)).map(({ group, fromUserId, data }) => [group, fromUserId, data]);
    assert.deepEqual(heard.slice(0, 2), [
      ["g", "ann", { text: "Grüße ✓ 🎉" }],
      ["g", "ann", "only for others"],
    ]);
    assert.deepEqual([...new Uint8Array(heard[2][2])], [0, 255]);
    assert.deepEqual((await ann.messages(2)).map((message) => message.dataType), ["json", "binary"]);

    await ann.client.leaveGroup("g");
    assert.deepEqual((await azure.connections(hub, 2))[0].groups, []);
  });
}

test("what servers send arrives in its three kinds", async (t) => {
  const client = await Client.connect(t, server.clientUrl("kinds", { userId: "ann", groups: ["g"] }));

  await server.send("kinds", { a: [1, null] });
  await server.send("kinds", "text", { path: "/groups/g", type: "text/plain" });
  await server.send("kinds", new Uint8Array([1, 2]), { path: "/users/ann", type: "application/octet-stream" });
  const [json, text, binary] = await client.messages(3);
  assert.deepEqual([json.kind, json.data], ["serverData", { a: [1, null] }]);
  assert.deepEqual([text.kind, text.group, text.data], ["groupData", "g", "text"]);
  assert.deepEqual([binary.kind, [...new Uint8Array(binary.data)]], ["serverData", [1, 2]]);
});

test("a client is told what it may not do", async (t) => {
  const client = await Client.connect(t, server.clientUrl("roles", { roles: ["webpubsub.sendToGroup.mine"] }), ONCE);

  for (const [name, attempt] of [
    ["Forbidden", () => client.client.joinGroup("mine")],
    ["Forbidden", () => client.client.sendToGroup("other", "hi", "text")],
    ["InternalServerError", () => client.client.sendEvent("news", "hi", "text")],
  ]) {
    await assert.rejects(within(attempt(), "a refusal"), (error) => {
      assert.equal(error.errorDetail.name, name);
      return true;
    });
  }
  await client.client.sendToGroup("mine", "hi", "text");
});

test("the same request is carried out once", async (t) => {
  const client = await Client.connect(t, server.clientUrl("once", { roles: BOTH, groups: ["g"] }));

  const first = await client.client.sendToGroup("g", "hi", "text", { ackId: 7 });
  const second = await client.client.sendToGroup("g", "hi", "text", { ackId: 7 });
  assert.deepEqual([first.isDuplicated, second.isDuplicated], [false, true]);
  await server.send("once", "last");
  assert.deepEqual((await client.messages(2)).map((message) => message.data), ["hi", "last"]);
});

test("a client is not let in with a token that is not for it", async (t) => {
  for (const options of [
    { key: "another-key-another-key-another-key" },
    { lifetime: -1 },
    { audience: `${server.endpoint}/client/hubs/elsewhere` },
    { audience: `http://127.0.0.1/client/hubs/refused` },
  ]) {
    const client = new Client(t, server.clientUrl("refused", options));
    await assert.rejects(within(client.client.start(), "a refusal"), /401/);
  }
  // Nothing but the token was wrong.
  await Client.connect(t, server.clientUrl("refused"));
});

test("a reliable client survives a broken network and misses nothing", async (t) => {
  t.after(() => azure.release());
  const client = await Client.connect(t, server.clientUrl("broken", { groups: ["g"] }));
  await server.send("broken", "before", { path: "/groups/g" });
  await client.messages(1);

  // It cannot be back before the next message is under way, since its first attempt is held.
  await azure.holdNext("web_pubsub_connect");
  await azure.dropWebPubSubConnection(client.connectionId);
  await azure.until((state) => state.held.length === 1, "an attempt to come back");
  await server.send("broken", "meanwhile", { path: "/groups/g" });
  assert.equal(await azure.release(), 1);

  assert.deepEqual((await client.messages(2)).map((message) => message.data), ["before", "meanwhile"]);
  const [connection] = await azure.connections("broken", 1);
  assert.equal(connection.connection_id, client.connectionId);
  const actions = (await azure.journal("broken", "web_pubsub_connect")).map((entry) => entry.action);
  assert.deepEqual(actions, ["served", "recovered"]);
});

test("a client that was sent away is told why", async (t) => {
  const options = { autoReconnect: false, protocol: WebPubSubJsonProtocol() };
  const client = await Client.connect(t, server.clientUrl("away"), options);

  await azure.closeConnection(client.connectionId, { error: "enough" });
  const { message } = await within(client.disconnected, "the end of the connection");
  assert.equal(message.message, "enough");
  await within(client.stopped, "a stopped client");
});

test("a token that the service has made lets a client in", async (t) => {
  const query = { userId: "ann", role: "webpubsub.sendToGroup", group: "g" };
  const client = await Client.connect(t, await server.generatedClientUrl(azure, "made", query));

  await client.client.sendToGroup("g", "hi", "text");
  assert.equal((await client.messages(1))[0].fromUserId, "ann");
  const [{ object_id: identity }] = await azure.journal("made", "web_pubsub_connect");
  assert.ok(identity);
});
