/** The browser of the tests. */

import { chromium } from "playwright-core";

/** Start one. Whoever starts it closes it. */
export function launchChromium() {
  return chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      // The tests may run as root in a container, where the sandbox does not work.
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
