import { describe, expect, test } from "vitest";
import type { KeyPair } from "../../../node/config/certificates.ts";
import { issue, makeAuthority } from "../../../node/config/certificates.ts";
import { clusterOf, example } from "../../api/testing/clusters.ts";
import { secret } from "../../build/secret.ts";
import type { Seen } from "../observe.ts";
import { identity } from "./identity.ts";

const DAY_MS = 86_400_000;
const cluster = clusterOf(example("minimal"));
const authority = await makeAuthority("chat authority");
const wrap = (name: string, pair: KeyPair, signer: KeyPair) =>
  secret(cluster, name, { ...pair, authority: signer.certificate });
const certified = async (name: string, names: readonly string[], signer = authority) =>
  wrap(name, await issue(signer, { commonName: name, names }), signer);

const complete: Pick<Seen, "authority" | "mesh" | "tls"> = {
  authority: wrap("chat-ca", authority, authority),
  mesh: await certified("chat-mesh", ["node.chat.zonda.internal"]),
  tls: await certified("chat-tls", ["chat.example.org"]),
};

function decide(over: Partial<Seen> = {}) {
  return identity({ cluster, nowMs: Date.now(), ...complete, ...over } as Seen);
}

/** Names of what the step wants issued. */
function wanted(over: Partial<Seen> = {}): readonly string[] {
  const verdict = decide(over);
  if (verdict.kind !== "advance") return [];
  return verdict.actions.flatMap((action) => (action.kind === "certify" ? [action.wish.name] : []));
}

describe("the identity of a cluster", () => {
  test("begins with an authority, and nothing is issued before it is there", () => {
    expect(wanted({ authority: undefined, mesh: undefined, tls: undefined })).toEqual(["chat-ca"]);
    expect(wanted({ mesh: undefined, tls: undefined })).toEqual(["chat-mesh", "chat-tls"]);
  });

  test("is kept as it is for two thirds of a certificate's life, then renewed", () => {
    expect(decide()).toEqual({ kind: "settled" });
    expect(wanted({ nowMs: Date.now() + 240 * DAY_MS })).toEqual([]);
    expect(wanted({ nowMs: Date.now() + 247 * DAY_MS })).toEqual(["chat-mesh", "chat-tls"]);
  });

  test("keeps its authority for good", () => {
    expect(wanted({ nowMs: Date.now() + 9 * 365 * DAY_MS })).not.toContain("chat-ca");
  });

  test("makes no certificate for domains that somebody else cares for", () => {
    const spec = { ...cluster.spec, tls: { ...cluster.spec.tls, secretName: "mine" } };
    expect(wanted({ cluster: { ...cluster, spec }, tls: undefined })).toEqual([]);
  });

  test("follows the domains", () => {
    const spec = { ...cluster.spec, domains: ["chat.example.org", "b.example"] };
    expect(wanted({ cluster: { ...cluster, spec } })).toEqual(["chat-tls"]);
  });

  test("issues anew what another authority signed, or what is damaged", async () => {
    const other = await makeAuthority("other");
    const foreign = await certified("chat-mesh", ["node.chat.zonda.internal"], other);
    expect(wanted({ mesh: foreign })).toEqual(["chat-mesh"]);
    const { "tls.key": _, ...keyless } = complete.mesh?.data ?? {};
    for (const data of [{}, keyless, { ...keyless, "tls.crt": "AAAA", "tls.key": "AAAA" }]) {
      const damaged = complete.mesh && { ...complete.mesh, data };
      expect(wanted({ mesh: damaged })).toEqual(["chat-mesh"]);
    }
  });

  test("does not touch a Secret of the same name that is not its own", () => {
    const foreign = { ...complete.mesh, metadata: { name: "chat-mesh" } } as Seen["mesh"];
    expect(decide({ mesh: foreign })).toMatchObject({ kind: "wait", reason: "SecretNotOurs" });
  });

  test("takes the domains of fifty names and a first one that is longer than a common name", () => {
    const domains = [`${"a".repeat(60)}.example.org`, "b.example"];
    const spec = { ...cluster.spec, domains };
    const verdict = decide({ cluster: { ...cluster, spec } });
    const [action] = verdict.kind === "advance" ? verdict.actions : [];
    expect(action).toMatchObject({
      wish: { hosts: domains, commonName: domains[0]?.slice(0, 64) },
    });
  });
});
