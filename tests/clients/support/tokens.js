/** Client tokens as the service sees them. */

import assert from "node:assert/strict";

/** What the service says of a token whose key it does not know, or knows no more. */
export const KEY_NOT_FOUND = /The signature key was not found/;

/** The name of the key that signed a token. */
export function kidOf(token) {
  return JSON.parse(Buffer.from(token.split(".")[0], "base64url")).kid;
}

/** The client must not get in, and the service must have answered it with this status. */
export async function refused(client, status) {
  await assert.rejects(client.start(), (error) => {
    assert.match(error.message, new RegExp(`Status code '${status}'`));
    return true;
  });
}

/** The service's WWW-Authenticate answer to a negotiation with this token. */
export async function challenge(url, token) {
  const address = url.replace("/client/?", "/client/negotiate?");
  const answer = await fetch(address, { method: "POST", headers: { Authorization: `Bearer ${token}` } });
  assert.equal(answer.status, 401);
  return answer.headers.get("www-authenticate");
}
