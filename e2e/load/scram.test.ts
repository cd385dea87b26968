import { createHash, createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { CREDENTIALS } from "../harness/peers/keys.ts";
import { finalMessage, firstMessage } from "./scram.ts";

const decoded = (text: string): string => Buffer.from(text, "base64").toString();

test("the proof is one that the stored key accepts (RFC 5802, 3)", () => {
  const { salt, iterations, storedKey } = CREDENTIALS["SCRAM-SHA-1"];
  const bare = decoded(firstMessage("u1")).slice("n,,".length);
  const challenge = `r=u1-nonce-more,s=${salt.toString("base64")},i=${iterations}`;
  const final = decoded(finalMessage("u1", Buffer.from(challenge).toString("base64")));
  const [, withoutProof = "", proof = ""] = /^(.*),p=(.*)$/.exec(final) ?? [];
  expect(withoutProof).toBe("c=biws,r=u1-nonce-more");
  const signature = createHmac("sha1", storedKey).update(`${bare},${challenge},${withoutProof}`);
  const key = Buffer.from(proof, "base64");
  for (const [at, byte] of signature.digest().entries()) key[at] = (key[at] ?? 0) ^ byte;
  expect(createHash("sha1").update(key).digest()).toEqual(storedKey);
});
