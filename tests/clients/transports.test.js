/** Microsoft's JavaScript client over each transport and each hub protocol. Each test has hubs of its own. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { HttpTransportType, HubConnectionState } from "@microsoft/signalr";
import { MessagePackHubProtocol } from "@microsoft/signalr-protocol-msgpack";

import { App, Client } from "./support/app.js";
import { Azure } from "./support/azure.js";
import { eventually, within } from "./support/watchdog.js";

const { WebSockets, ServerSentEvents, LongPolling } = HttpTransportType;
const TRANSPORTS = [WebSockets, ServerSentEvents, LongPolling];
const messagepack = (builder) => builder.withHubProtocol(new MessagePackHubProtocol());
/** Ways of connecting that the service offers. */
const WAYS = [
  ...TRANSPORTS.map((transport) => ({ transport, protocol: "json", adapt: () => {} })),
  { transport: WebSockets, protocol: "messagepack", adapt: messagepack },
  { transport: LongPolling, protocol: "messagepack", adapt: messagepack },
];
const nameOf = (transport) => HttpTransportType[transport];

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

for (const { transport, protocol, adapt } of WAYS) {
  const way = `${nameOf(transport)} with ${protocol}`;
  const hub = `${nameOf(transport)}_${protocol}`.toLowerCase();

  test(`${way}: connect, receive, invoke, and stop`, async (t) => {
    const args = ["Grüße ✓ 你好 🎉\r\n\u2028", 1.5, -7, 2 ** 40, true, null, [1, [2]], { nested: { text: "<b>\"" } }];
    const client = await Client.connect(t, app.hubUrl(hub, { user_id: "ann" }), { transport }, adapt);

    const [connection] = await azure.connections(hub, 1);
    assert.deepEqual([connection.transport, connection.protocol], [nameOf(transport), protocol]);
    assert.deepEqual([connection.connection_id, connection.user_id], [client.connection.connectionId, "ann"]);

    await app.send(hub, args);
    await app.send(hub, ["last"]);
    assert.deepEqual(await client.messages(2), [args, ["last"]]);
    await assert.rejects(client.connection.invoke("ask", 1), /no upstream is configured for 'ask'/);

    await within(client.connection.stop(), "the end of the client");
    await azure.connections(hub, 0);
    assert.equal((await within(client.closed, "the close event")).error, undefined);
  });

  test(`${way}: automatic reconnect after the connection broke`, async (t) => {
    const client = await Client.connect(t, app.hubUrl(`${hub}_drop`, { user_id: "ann" }), { transport }, (builder) => {
      adapt(builder);
      builder.withAutomaticReconnect([0, 0, 0]);
    });
    const [first] = await azure.connections(`${hub}_drop`, 1);
    const reconnected = new Promise((resolve) => client.connection.onreconnected(resolve));

    await azure.dropConnection(first.connection_id);

    const id = await within(reconnected, "a reconnected client");
    assert.notEqual(id, first.connection_id);
    await app.send(`${hub}_drop`, ["again"]);
    assert.deepEqual(await client.messages(1), [["again"]]);
    const [second] = await azure.connections(`${hub}_drop`, 1);
    assert.deepEqual([second.connection_id, second.transport], [id, nameOf(transport)]);
  });

  test(`${way}: the service ends the connection when its token does`, async (t) => {
    t.after(() => azure.resetClock());
    const options = { user_id: "ann", lifetime: 60, close_on_authentication_expiration: true };
    const client = await Client.connect(t, app.hubUrl(`${hub}_expiry`, options), { transport }, adapt);
    await app.send(`${hub}_expiry`, ["before"]);
    assert.deepEqual(await client.messages(1), [["before"]]);

    await azure.advanceClock(61);

    assert.equal((await within(client.closed, "the close event")).error, undefined);
    await azure.connections(`${hub}_expiry`, 0);
  });

  test(`${way}: a close with an error, and one that asks to come back`, async (t) => {
    const url = app.hubUrl(`${hub}_close`, { user_id: "ann" });
    const client = await Client.connect(t, url, { transport }, (builder) => {
      adapt(builder);
      builder.withAutomaticReconnect([0, 0, 0]);
    });
    const [first] = await azure.connections(`${hub}_close`, 1);
    const reconnected = new Promise((resolve) => client.connection.onreconnected(resolve));
    await azure.closeConnection(first.connection_id, { allowReconnect: true });
    const id = await within(reconnected, "a client that came back");

    await azure.closeConnection(id, { error: "enough" });
    assert.match((await within(client.closed, "the close event")).error.message, /enough/);
    await azure.connections(`${hub}_close`, 0);
  });
}

test("one message reaches clients of every transport and protocol, but not the excluded one", async (t) => {
  const clients = [];
  for (const { transport, adapt } of WAYS) {
    clients.push(await Client.connect(t, app.hubUrl("mixed", { user_id: "ann" }), { transport }, adapt));
  }
  const [, excluded] = clients;
  await app.send("mixed", ["for the others"], { excluded: [excluded.connection.connectionId] });
  await app.send("mixed", ["for all"]);
  for (const client of clients) {
    const expected = client === excluded ? [["for all"]] : [["for the others"], ["for all"]];
    assert.deepEqual(await client.messages(expected.length), expected);
  }
});

test("the token decides on the transport when the client would take any", async (t) => {
  for (const transport of TRANSPORTS) {
    const hub = `only_${nameOf(transport).toLowerCase()}`;
    const url = app.hubUrl(hub, { user_id: "ann", transports: [nameOf(transport)] });
    await Client.connect(t, url, { transport: undefined });
    const [connection] = await azure.connections(hub, 1);
    assert.equal(connection.transport, nameOf(transport));
    const other = TRANSPORTS.find((candidate) => candidate !== transport);
    await assert.rejects(new Client(t, url, { transport: other }).start(), /disabled by the client/);
  }
});

test("a client falls back to the next transport", async (t) => {
  await azure.failNext("connect", 503);
  // After a 503 the client would leave its source of events open, which tries again for ever and keeps this program alive.
  await azure.failNext("server_sent_events", 404);
  await Client.connect(t, app.hubUrl("fallback", { user_id: "ann" }), { transport: undefined });
  const [connection] = await azure.connections("fallback", 1);
  assert.equal(connection.transport, "LongPolling");
});

test("MessagePack cannot be spoken over Server-Sent Events", async (t) => {
  const client = new Client(t, app.hubUrl("text", { user_id: "ann" }), { transport: ServerSentEvents }, messagepack);
  await assert.rejects(client.start(), /does not support Binary/);
});

test("skipNegotiation goes to the service directly", async (t) => {
  const { url, accessToken } = await app.negotiate("direct", { user_id: "ann" });
  for (const adapt of [() => {}, messagepack]) {
    const options = { accessTokenFactory: () => accessToken, skipNegotiation: true };
    const client = await Client.connect(t, url, options, adapt);
    await app.send("direct", ["hello"]);
    assert.deepEqual(await client.messages(1), [["hello"]]);
  }
  assert.deepEqual(await azure.journal("direct", "negotiate"), []);
});

test("a client that asks for stateful reconnect gets an ordinary connection", async (t) => {
  const client = await Client.connect(t, app.hubUrl("stateful", { user_id: "ann" }), {}, (builder) => {
    builder.withStatefulReconnect().withAutomaticReconnect([0, 0, 0]);
  });
  const [negotiated] = await azure.journal("stateful", "negotiate");
  assert.match(negotiated.path, /useStatefulReconnect=true/);
  await app.send("stateful", ["first"]);
  assert.deepEqual(await client.messages(1), [["first"]]);

  // A broken connection is replaced by a new one, with a new id, instead of being taken up again.
  const [first] = await azure.connections("stateful", 1);
  const reconnected = new Promise((resolve) => client.connection.onreconnected(resolve));
  await azure.dropConnection(first.connection_id);
  assert.notEqual(await within(reconnected, "a reconnected client"), first.connection_id);
  await app.send("stateful", ["second"]);
  assert.deepEqual(await client.messages(2), [["first"], ["second"]]);
});

test("over requests a connection cannot outlive its token", async (t) => {
  t.after(() => azure.resetClock());
  for (const transport of [ServerSentEvents, LongPolling]) {
    const hub = `outlive_${nameOf(transport).toLowerCase()}`;
    const client = await Client.connect(t, app.hubUrl(hub, { user_id: "ann", lifetime: 60 }), { transport });
    await azure.advanceClock(61);
    await assert.rejects(client.connection.send("anything"), /401/);
    await azure.resetClock();
    await client.connection.send("anything");
    assert.equal(client.connection.state, HubConnectionState.Connected);
    await eventually(async () => (await azure.journal(hub, "invoke")).length === 1, "the message that came in time");
  }
});
