/** The Hashed Token mechanisms (draft-schmaus-kitten-sasl-ht-08) that XEP-0484 uses. */

export type TokenMechanism =
  | "HT-SHA-256-EXPR"
  | "HT-SHA-256-UNIQ"
  | "HT-SHA-256-ENDP"
  | "HT-SHA-256-NONE";

/** The channel binding each of them needs, the best first. */
const BINDINGS: ReadonlyMap<TokenMechanism, string | undefined> = new Map([
  ["HT-SHA-256-EXPR", "tls-exporter"],
  ["HT-SHA-256-UNIQ", "tls-unique"],
  ["HT-SHA-256-ENDP", "tls-server-end-point"],
  ["HT-SHA-256-NONE", undefined],
]);

/** Those that a stream with these channel bindings can be used with. */
export const tokenMechanismsFor = (channelBindings: readonly string[]): readonly TokenMechanism[] =>
  [...BINDINGS].flatMap(([name, type]) =>
    type === undefined || channelBindings.includes(type) ? [name] : [],
  );

export const tokenMechanismNamed = (name: string): TokenMechanism | undefined =>
  [...BINDINGS.keys()].find((one) => one === name);

/** The channel's part of the hashed message; undefined: the channel has none of that kind. */
export function bindingFor(
  mechanism: TokenMechanism,
  channelBindings: ReadonlyMap<string, Buffer>,
): Buffer | undefined {
  const type = BINDINGS.get(mechanism);
  return type === undefined ? Buffer.alloc(0) : channelBindings.get(type);
}
