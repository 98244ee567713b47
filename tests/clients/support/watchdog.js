/**
 * The limits of waiting. No test sleeps or measures time: it waits for what it expects, and these limits only turn an
 * endless wait into a failure that says what was expected.
 */

export const LIMIT_MS = 20_000;

/** Settle as `promise` does, or fail if it takes too long. */
export async function within(promise, what, limit = LIMIT_MS) {
  let timer;
  const alarm = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${limit} ms: ${what}`)), limit);
  });
  try {
    return await Promise.race([promise, alarm]);
  } finally {
    clearTimeout(timer);
  }
}

/** Ask until the answer is truthy, for conditions that nobody announces; returns the answer. */
export async function eventually(ask, what, limit = LIMIT_MS) {
  const deadline = Date.now() + limit;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`not within ${limit} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
