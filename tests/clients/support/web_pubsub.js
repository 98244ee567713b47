/** A server of Web PubSub that signs its own tokens, and real clients that come in with them. */

import { createHmac } from "node:crypto";

import { WebPubSubClient } from "@azure/web-pubsub-client";

import { within } from "./watchdog.js";

const API_VERSION = "2024-12-01";
/** No keep-alive: its timers go on after the client was stopped, and would hold up the end of the tests for 40 seconds. */
const QUIET = { keepAliveIntervalInMs: 0, keepAliveTimeoutInMs: 0 };

/** Signs with the access key of the local Azure, on node:crypto alone. */
export class Server {
  constructor(azure) {
    this.endpoint = azure.webPubSub.endpoint;
    this.key = azure.webPubSub.accessKey;
  }

  /** The address at which a client of the hub gets in. */
  clientUrl(hub, { userId, roles, groups, key = this.key, lifetime = 3600, audience } = {}) {
    const path = `/client/hubs/${hub}`;
    const claims = {
      aud: audience ?? this.endpoint + path,
      exp: seconds() + lifetime,
      sub: userId,
      role: roles,
      "webpubsub.group": groups,
    };
    return addressOf(this.endpoint + path, sign(claims, key));
  }

  /** The same with a token that the service makes for a managed identity. */
  async generatedClientUrl(azure, hub, query) {
    const bearer = await identityToken(azure.identity);
    const answer = await this.#ask("POST", hub, "/:generateToken", { query, bearer });
    return addressOf(`${this.endpoint}/client/hubs/${hub}`, (await answer.json()).token);
  }

  /** Send to a hub, or to whatever `path` names in it. */
  send(hub, data, { path = "", type = "application/json" } = {}) {
    const body = type === "application/json" ? JSON.stringify(data) : data;
    return this.#ask("POST", hub, `${path}/:send`, { body, type });
  }

  async #ask(method, hub, path, { query = {}, bearer, body, type } = {}) {
    const parameters = new URLSearchParams({ ...query, "api-version": API_VERSION });
    const url = `${this.endpoint}/api/hubs/${hub}${path}?${parameters}`;
    const token = bearer ?? sign({ aud: url, exp: seconds() + 60 }, this.key);
    const headers = { Authorization: `Bearer ${token}`, ...(type && { "Content-Type": type }) };
    const answer = await fetch(url, { method, headers, body });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  }
}

/** A real client and what it has heard. */
export class Client {
  heard = [];
  #waiting = new Set();

  /** One that ends with the test `t`. */
  constructor(t, url, options) {
    this.client = new WebPubSubClient({ getClientAccessUrl: async () => url }, { ...QUIET, ...options });
    this.connected = this.#once("connected");
    this.disconnected = this.#once("disconnected");
    this.stopped = this.#once("stopped");
    for (const event of ["group-message", "server-message"]) {
      this.client.on(event, ({ message }) => {
        this.heard.push(message);
        for (const look of this.#waiting) look();
      });
    }
    t.after(() => this.client.stop());
  }

  /** A client that is connected. */
  static async connect(t, url, options) {
    const client = new Client(t, url, options);
    await within(client.client.start(), "an open WebSocket");
    client.connectionId = (await within(client.connected, "a connected client")).connectionId;
    return client;
  }

  /** Wait until `count` messages have arrived, and return them. */
  async messages(count) {
    let look;
    const enough = new Promise((resolve) => {
      look = () => this.heard.length >= count && resolve();
      this.#waiting.add(look);
      look();
    });
    try {
      await within(enough, `${count} messages`);
    } finally {
      this.#waiting.delete(look);
    }
    return this.heard;
  }

  #once(event) {
    return new Promise((resolve) => this.client.on(event, resolve));
  }
}

function addressOf(url, token) {
  return `${url.replace(/^http/, "ws")}?${new URLSearchParams({ access_token: token })}`;
}

async function identityToken({ endpoint, header }) {
  const query = new URLSearchParams({ resource: "https://webpubsub.azure.com", "api-version": "2019-08-01" });
  const answer = await fetch(`${endpoint}?${query}`, { headers: { "X-IDENTITY-HEADER": header } });
  return (await answer.json()).access_token;
}

function sign(claims, key) {
  const input = [{ alg: "HS256", typ: "JWT" }, claims].map((part) => encode(JSON.stringify(part))).join(".");
  return `${input}.${createHmac("sha256", key).update(input).digest("base64url")}`;
}

function encode(text) {
  return Buffer.from(text).toString("base64url");
}

function seconds() {
  return Math.floor(Date.now() / 1000);
}
