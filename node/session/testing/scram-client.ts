/** The client's half of SCRAM, right or as wrong as a test wants it. */
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";

/** What a dishonest or unlucky client does differently. */
export interface Tweak {
  readonly gs2?: string;
  readonly channelBinding?: Buffer;
  readonly nonce?: string;
  readonly proof?: string;
  readonly onChallenge?: (seen: { salt: string; iterations: number }) => void;
}

export interface ScramClient {
  /** client-first-message, base64. */
  readonly first: string;
  /**
   * Takes server-first-message in base64; answers client-final-message and what the server must say
   * to prove itself, both base64.
   */
  answer(challenge: string): { readonly final: string; readonly verifier: string };
}

const NONCE = "fyko+d2lbbFgONRv9qkxdawL";
const LENGTHS = { sha1: 20, sha256: 32, sha512: 64 } as const;
const base64 = (text: string): string => Buffer.from(text).toString("base64");

const hashOf = (mechanism: string): keyof typeof LENGTHS => {
  if (mechanism.startsWith("SCRAM-SHA-256")) return "sha256";
  return mechanism.startsWith("SCRAM-SHA-512") ? "sha512" : "sha1";
};

export function scramClient(
  mechanism: string,
  user: string,
  password: string,
  tweak: Tweak = {},
): ScramClient {
  const hash = hashOf(mechanism);
  const { gs2 = "n,,", channelBinding = Buffer.alloc(0) } = tweak;
  const bare = `n=${user},r=${NONCE}`;
  const sign = (key: Buffer, data: string) => createHmac(hash, key).update(data).digest();
  return {
    first: base64(gs2 + bare),
    answer(challenge) {
      const serverFirst = Buffer.from(challenge, "base64").toString();
      const [, fullNonce = "", salt = "", iterations = ""] =
        /^r=([^,]*),s=([^,]*),i=(\d+)(?:,|$)/.exec(serverFirst) ?? [];
      const rounds = Number(iterations);
      tweak.onChallenge?.({ salt, iterations: rounds });
      const bytes = Buffer.from(salt, "base64");
      const salted = pbkdf2Sync(password, bytes, rounds, LENGTHS[hash], hash);
      const clientKey = sign(salted, "Client Key");
      const storedKey = createHash(hash).update(clientKey).digest();
      const binding = Buffer.concat([Buffer.from(gs2), channelBinding]).toString("base64");
      const without = `c=${binding},r=${tweak.nonce ?? fullNonce}`;
      const authMessage = `${bare},${serverFirst},${without}`;
      const signature = sign(storedKey, authMessage);
      const proof = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0)));
      const verifier = sign(sign(salted, "Server Key"), authMessage).toString("base64");
      return {
        final: base64(`${without},p=${tweak.proof ?? proof.toString("base64")}`),
        verifier: base64(`v=${verifier}`),
      };
    },
  };
}
