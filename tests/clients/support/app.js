/** The application server of the tests, `negotiate_app.py`, and real clients that come to it. */

import { HttpTransportType, HubConnectionBuilder, LogLevel } from "@microsoft/signalr";

import { PythonProgram } from "./python.js";
import { within } from "./watchdog.js";

export class App {
  #program;

  constructor(program, url) {
    this.#program = program;
    this.url = url;
  }

  /** Start one for the given local Azure, with its access key. Whoever starts it stops it. */
  static start(azure) {
    return App.#start({ SIGNALR_ENDPOINT: azure.endpoint, SIGNALR_ACCESS_KEY: azure.accessKey });
  }

  /** Start one that has an Entra application's secret; `renewAtOnce` lets a key be due as soon as it is there. */
  static startEntra(azure, { renewAtOnce = false } = {}) {
    return App.#start({
      SIGNALR_CONNECTION_STRING: azure.entra.connectionString,
      SIGNALR_AUTHORITY: azure.entra.authority,
      SIGNALR_CA_FILE: azure.entra.caFile,
      SIGNALR_RENEW_AT_ONCE: renewAtOnce ? "yes" : "",
    });
  }

  static async #start(environment) {
    const program = new PythonProgram(["tests/clients/negotiate_app.py"], { environment });
    const [, url] = await program.printed(/"url": "(.*?)"/);
    return new App(program, url);
  }

  stop() {
    return this.#program.stop();
  }

  /** Where a client connects to: it appends /negotiate to the path. `options` are keywords of `negotiate`. */
  hubUrl(hub, options, { application } = {}) {
    const query = new URLSearchParams({ options: JSON.stringify(options) });
    if (application) query.set("application", application);
    return `${this.url}/${hub}?${query}`;
  }

  /** What a client is told by POST /negotiate. */
  async negotiate(hub, options) {
    const url = new URL(this.hubUrl(hub, options));
    url.pathname += "/negotiate";
    return (await post("POST", url)).json();
  }

  /** Call `send_to_all` with the target "message". */
  async send(hub, args, { application, excluded = [] } = {}) {
    const url = new URL(`${this.url}/${hub}/send`);
    if (application) url.searchParams.set("application", application);
    await post("POST", url, { target: "message", arguments: args, excluded });
  }

  /** Report a temporary key dead; whether the application's client dropped one. */
  async invalidateKey(hub, kid) {
    return (await (await post("DELETE", `${this.url}/${hub}/keys/${kid}`)).json()).dropped;
  }

  /** Give the application's credential another key. */
  async updateKey(key) {
    await post("PUT", `${this.url}/key`, { key });
  }
}

/** A real client: a connection, over WebSockets unless `options` say otherwise, and what it has received. */
export class Client {
  received = [];
  #waiting = new Set();

  /** One that ends with the test `t`; `adapt` is called with the builder. */
  constructor(t, url, options = {}, adapt = () => {}) {
    const builder = new HubConnectionBuilder()
      .withUrl(url, { transport: HttpTransportType.WebSockets, ...options })
      // Tests that expect failures read the errors themselves.
      .configureLogging(LogLevel.None);
    adapt(builder);
    this.connection = builder.build();
    this.connection.on("message", (...args) => {
      this.received.push(args);
      for (const look of this.#waiting) look();
    });
    this.closed = new Promise((resolve) => this.connection.onclose((error) => resolve({ error })));
    t.after(() => this.connection.stop());
  }

  /** A client that is connected. */
  static async connect(t, url, options, adapt) {
    const client = new Client(t, url, options, adapt);
    await client.start();
    return client;
  }

  start() {
    return within(this.connection.start(), "a connected client");
  }

  /** Wait until `count` messages have arrived, and return them. */
  async messages(count) {
    let look;
    const enough = new Promise((resolve) => {
      look = () => this.received.length >= count && resolve();
      this.#waiting.add(look);
      look();
    });
    try {
      await within(enough, `${count} messages`);
    } finally {
      this.#waiting.delete(look);
    }
    return this.received;
  }
}

async function post(method, url, body) {
  const answer = await fetch(url, {
    method,
    headers: body && { "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${await answer.text()}`);
  return answer;
}
