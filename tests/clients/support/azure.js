/** The local Azure and its control API. */

import { PythonProgram } from "./python.js";
import { LIMIT_MS } from "./watchdog.js";

/** The longest single wait for a change; the wait as a whole is limited by the watchdog's limit. */
const POLL_SECONDS = 1;

export class Azure {
  #program;
  #control;

  constructor(program, ready) {
    this.#program = program;
    this.endpoint = ready.endpoint;
    this.connectionString = ready.primary_connection_string;
    this.accessKey = accessKeyOf(this.connectionString);
    this.entra = {
      connectionString: ready.entra_connection_string,
      authority: ready.authority,
      caFile: ready.ca_file,
    };
    this.webPubSub = {
      endpoint: ready.web_pubsub_endpoint,
      accessKey: accessKeyOf(ready.web_pubsub_primary_connection_string),
    };
    this.identity = { endpoint: ready.identity_endpoint, header: ready.identity_header };
    this.#control = { url: ready.control_url, authorization: `Bearer ${ready.control_token}` };
  }

  /** Start one. Whoever starts it stops it. */
  static async start() {
    const program = new PythonProgram(["-m", "hubpass.emulator", "--exit-with-parent"]);
    const [line] = await program.printed(/^\{.*"ready".*\}$/m);
    return new Azure(program, JSON.parse(line));
  }

  stop() {
    return this.#program.stop();
  }

  state() {
    return this.#order("GET", "/state");
  }

  /** Wait until the state satisfies the predicate, and return that state. */
  async until(predicate, what) {
    const deadline = Date.now() + LIMIT_MS;
    let state = await this.state();
    while (!predicate(state)) {
      if (Date.now() > deadline) throw new Error(`not within ${LIMIT_MS} ms: ${what}; ${JSON.stringify(state)}`);
      state = await this.#order("GET", `/state?since=${state.version}&wait=${POLL_SECONDS}`);
    }
    return state;
  }

  /** The open connections of a hub key, as soon as there are `count`. */
  async connections(hub, count) {
    const of = (state) => state.connections.filter((connection) => connection.hub === hub);
    return of(await this.until((state) => of(state).length === count, `${count} connections to ${hub}`));
  }

  /** The journal's entries of one hub key and one route. */
  async journal(hub, route) {
    const { entries } = await this.#order("GET", "/journal");
    return entries.filter((entry) => entry.hub === hub && entry.route === route);
  }

  advanceClock(seconds) {
    return this.#order("POST", "/clock", { advance: seconds });
  }

  resetClock() {
    return this.#order("POST", "/clock", { reset: true });
  }

  setServiceMode(mode) {
    return this.#order("POST", "/service-mode", { service_mode: mode });
  }

  /** Regenerate the primary key. */
  async rotateKey() {
    const answer = await this.#order("POST", "/keys/rotate", { key: "primary" });
    this.accessKey = accessKeyOf(answer.primary_connection_string);
  }

  /** Make a new temporary key, which is given out from now on; the name of it. */
  async rotateTemporaryKey() {
    return (await this.#order("POST", "/temporary-keys/rotate", {})).kid;
  }

  /** Let one temporary key die. */
  revokeTemporaryKey(kid) {
    return this.#order("POST", "/temporary-keys/revoke", { kid });
  }

  /** Change for how many seconds temporary keys sign, old ones and new ones. */
  setKeyLife(life) {
    return this.#order("POST", "/temporary-keys/policy", { life });
  }

  setLocalAuthDisabled(disabled) {
    return this.#order("POST", "/local-auth", { disabled });
  }

  /** End a connection with a close message. */
  closeConnection(id, { error, allowReconnect = false } = {}) {
    const order = { connection_id: id, error: error ?? null, allow_reconnect: allowReconnect };
    return this.#order("POST", "/connections/close", order);
  }

  /** Cut a connection without a word. */
  dropConnection(id) {
    return this.#order("POST", "/connections/drop", { connection_id: id });
  }

  /** Answer the next call of a route with a status. */
  failNext(route, status) {
    return this.#order("POST", "/faults", { route, status });
  }

  /** Hold the next call of a route until it is released. */
  holdNext(route) {
    return this.#order("POST", "/faults", { route, hold: true });
  }

  /** Let the held calls go on; how many there were. */
  async release() {
    return (await this.#order("POST", "/held/release", {})).released;
  }

  /** Cut the WebSocket of a client of Web PubSub as a broken network does. */
  dropWebPubSubConnection(id) {
    return this.#order("POST", "/web-pubsub/connections/drop", { connection_id: id });
  }

  async #order(method, path, order) {
    const answer = await fetch(this.#control.url + path, {
      method,
      headers: { Authorization: this.#control.authorization },
      body: order && JSON.stringify(order),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }
}

function accessKeyOf(connectionString) {
  return connectionString.match(/AccessKey=([^;]+)/)[1];
}
