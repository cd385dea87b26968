/** Surroundings of a mechanism under test: the domain localhost, no TLS, everything offered. */
import type { Credentials } from "../../stores/contract.ts";
import type { AuthContext, Step } from "../contract.ts";
import { makeDecoys } from "../decoys.ts";
import { offerFor, PASSWORD_MECHANISMS } from "../offer.ts";
import { PasswordWork } from "../password-work.ts";
import { SaslAttempt } from "../sasl.ts";

export const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** What is offered with these channel bindings. */
export const offerWith = (channelBindings: readonly string[] = []) =>
  offerFor({
    isAnonymous: false,
    isCertified: false,
    hasSha512: true,
    allowed: PASSWORD_MECHANISMS,
    channelBindings,
  });

export const testDecoys = (areSomeOlder = false) =>
  makeDecoys({ secret: Buffer.from("a secret"), areSomeOlder, iterations: 4_096 });

const work = new PasswordWork();

export const contextWith = (
  users: Readonly<Record<string, Credentials>>,
  changes: Partial<AuthContext> = {},
): AuthContext => ({
  domain: "localhost",
  accounts: { credentials: async (user) => users[user] },
  decoys: testDecoys(),
  offer: offerWith([...(changes.channelBindings?.keys() ?? [])]),
  channelBindings: new Map(),
  certified: [],
  nonce: () => "3rfcNHYJY1ZVvWVs7j",
  passwords: work,
  upgrades: { consider() {}, stats: { made: 0, failed: 0 } },
  ...changes,
});

/** Runs the messages of a client; what the server answered to each, decoded, and who he is then. */
export async function talk(
  mechanism: string,
  messages: readonly (string | Buffer)[],
  context: AuthContext,
): Promise<readonly string[]> {
  const attempt = SaslAttempt.begin(mechanism, context);
  if (attempt === undefined) return ["invalid-mechanism"];
  const answers: string[] = [];
  for (const message of messages) {
    const step = await attempt.respond(Buffer.from(message).toString("base64"));
    answers.push(...toldBy(step));
    if (step.kind === "failure") break;
  }
  return answers;
}

function toldBy(step: Step): readonly string[] {
  if (step.kind === "failure") return [step.condition];
  const data = step.data?.toString() ?? "";
  return step.kind === "success" ? [data, step.user.bare] : [data];
}
