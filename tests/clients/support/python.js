/** Starts the Python programs of the tests. `HUBPASS_PYTHON` is the path of the interpreter. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { within } from "./watchdog.js";

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const PYTHON = resolve(process.env.HUBPASS_PYTHON ?? `${ROOT}.venv/bin/python`);

/** One running program. Its standard input is a pipe, which closes when the tests end, however they end. */
export class PythonProgram {
  output = "";
  errors = "";
  #waiting = new Set();

  constructor(argv, { environment = {}, ownGroup = false } = {}) {
    this.child = spawn(PYTHON, argv, {
      cwd: ROOT,
      env: { ...process.env, PYTHONUNBUFFERED: "1", ...environment },
      detached: ownGroup,
    });
    this.ended = once(this.child, "close").then(([code, signal]) => ({ code, signal }));
    // Whoever awaits `ended` sees a failed start; nobody has to.
    this.ended.catch(() => {});
    this.child.stderr.setEncoding("utf8").on("data", (text) => (this.errors += text));
    createInterface(this.child.stdout).on("line", (line) => {
      this.output += `${line}\n`;
      for (const look of this.#waiting) look();
    });
  }

  /** The match of `pattern` in the standard output, as soon as it is there; fails if the program ends before. */
  async printed(pattern) {
    let look;
    const found = new Promise((resolve) => {
      look = () => {
        const match = this.output.match(pattern);
        if (match) resolve(match);
      };
      this.#waiting.add(look);
      look();
    });
    const died = this.ended.then(({ code, signal }) => {
      throw new Error(`the program ended (${code ?? signal}) before it printed ${pattern}:\n${this.errors}`);
    });
    try {
      return await within(Promise.race([found, died]), `${pattern} on the standard output`);
    } finally {
      died.catch(() => {});
      this.#waiting.delete(look);
    }
  }

  /** End the program by the end of its input; fails if that does not end it with code 0. */
  async stop() {
    this.child.stdin.end();
    try {
      const { code, signal } = await within(this.ended, "the end of a Python program");
      if (code !== 0) throw new Error(`the program ended with ${code ?? signal}:\n${this.errors}`);
    } finally {
      this.kill();
    }
  }

  /** Make sure that nothing is left behind. */
  kill() {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGKILL");
  }
}
