/** The demo, `examples/chat/demo.py`, as people run it. */

import { existsSync, readdirSync, readFileSync } from "node:fs";

import { PythonProgram } from "./python.js";
import { eventually } from "./watchdog.js";

export class Demo extends PythonProgram {
  /** One that is gone when the test `t` ends. It has a process group of its own, as in a terminal. */
  constructor(t, { argv = [], environment } = {}) {
    super(["examples/chat/demo.py", ...argv], { environment, ownGroup: true });
    t.after(() => this.kill());
  }

  /** The address that it tells people to open. */
  async page() {
    return (await this.printed(/http:\/\/127\.0\.0\.1:\d+\//))[0];
  }

  /** The names of the temporary keys that it has shown, in order. */
  get keys() {
    return [...this.output.matchAll(/The temporary key (\S+) signs from now on\./g)].map(([, kid]) => kid);
  }

  /** Wait until it shows another temporary key. */
  async rotation() {
    const count = this.keys.length;
    await this.printed(new RegExp(`(?:key \\S+ signs[^]*){${count + 1}}`));
  }

  /** What a terminal does on Ctrl-C: it signals every process of the group. */
  pressCtrlC() {
    process.kill(-this.child.pid, "SIGINT");
  }

  /** The process ids of its children. */
  children() {
    const tasks = `/proc/${this.child.pid}/task`;
    return readdirSync(tasks)
      .flatMap((task) => readFileSync(`${tasks}/${task}/children`, "utf8").split(" "))
      .filter(Boolean)
      .map(Number);
  }
}

/** Wait until none of the processes exists. */
export async function allGone(pids) {
  for (const pid of pids) await eventually(() => !existsSync(`/proc/${pid}`), `the end of process ${pid}`);
}
