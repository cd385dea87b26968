/** The client's half of SASL PLAIN (RFC 4616), SCRAM (RFC 5802, RFC 7677) and tokens (XEP-0484). */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";

export type Mechanism = "PLAIN" | "SCRAM-SHA-1" | "SCRAM-SHA-256" | "SCRAM-SHA-512";

export interface Login {
  readonly username: string;
  readonly password: string;
}

export interface Conversation {
  /** What `<auth/>` carries, base64. */
  readonly first: string;
  /** Answers a challenge; both base64. @throws Error when the server's message is wrong. */
  answer(challenge: string): string;
  /** Checks what came with `<success/>`. @throws Error when the server did not prove itself. */
  finish(additional: string): void;
}

const encode = (text: string | Buffer) => Buffer.from(text).toString("base64");
const decode = (text: string) => Buffer.from(text, "base64").toString("utf8");

function plain({ username, password }: Login): Conversation {
  return {
    first: encode(`\0${username}\0${password}`),
    answer: () => "",
    finish: () => undefined,
  };
}

const HASHES = {
  "SCRAM-SHA-1": ["sha1", 20],
  "SCRAM-SHA-256": ["sha256", 32],
  "SCRAM-SHA-512": ["sha512", 64],
} as const;

function scram(mechanism: keyof typeof HASHES, { username, password }: Login): Conversation {
  const [hash, length] = HASHES[mechanism];
  const hmac = (key: Buffer, text: string) => createHmac(hash, key).update(text).digest();
  const nonce = randomBytes(18).toString("base64");
  const name = username.replaceAll("=", "=3D").replaceAll(",", "=2C");
  const bare = `n=${name},r=${nonce}`;
  let signature: string | undefined;
  return {
    first: encode(`n,,${bare}`),
    answer(challenge) {
      const message = decode(challenge);
      const { r, s, i } = Object.fromEntries(
        message.split(",").map((part) => [part.slice(0, 1), part.slice(2)]),
      ) as Record<string, string | undefined>;
      if (!r?.startsWith(nonce) || r === nonce) throw new Error("Cannot log in: a wrong nonce");
      if (Number(i) < 4_096 || !s) throw new Error(`Cannot log in: salt or rounds of ${message}`);
      const salt = Buffer.from(s, "base64");
      const salted = pbkdf2Sync(password.normalize("NFKC"), salt, Number(i), length, hash);
      const clientKey = hmac(salted, "Client Key");
      const withoutProof = `c=biws,r=${r}`;
      const signed = `${bare},${message},${withoutProof}`;
      const stored = createHash(hash).update(clientKey).digest();
      const mask = hmac(stored, signed);
      const proof = clientKey.map((byte, index) => byte ^ (mask[index] as number));
      signature = encode(hmac(hmac(salted, "Server Key"), signed));
      return encode(`${withoutProof},p=${encode(Buffer.from(proof))}`);
    },
    finish(additional) {
      if (decode(additional) === `v=${signature}`) return;
      throw new Error("Cannot log in: the server did not prove that it knows the password");
    },
  };
}

/** Begins to log in. */
export function converse(mechanism: Mechanism, login: Login): Conversation {
  return mechanism === "PLAIN" ? plain(login) : scram(mechanism, login);
}

/** HT-SHA-256-NONE (draft-schmaus-kitten-sasl-ht-08). */
export function converseWithToken({ username }: Login, token: string): Conversation {
  const sign = (word: string) => createHmac("sha256", token).update(word).digest();
  return {
    first: encode(Buffer.concat([Buffer.from(`${username}\0`), sign("Initiator")])),
    answer: () => "",
    finish(additional) {
      if (additional === encode(sign("Responder"))) return;
      throw new Error("Cannot log in: the server did not prove that it knows the token");
    },
  };
}
