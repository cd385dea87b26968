/** Whatever a client says before it has logged in, in whatever order: nobody gets in by it. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { openKit } from "./testing/door-kit.ts";
import { base64, HEADER, SASL, SASL2 } from "./testing/raw-client.ts";
import { scramClient } from "./testing/scram-client.ts";

const FIRST = scramClient("SCRAM-SHA-256", "romeo", "secret").first;
const BIND = "<bind xmlns='urn:xmpp:bind:0'><tag>t</tag><enable xmlns='urn:xmpp:sm:3'/></bind>";
const AGENT = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>";
const FAST = "<fast xmlns='urn:xmpp:fast:0' count='1' invalidate='1'/>";
const RESUME = "<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>";

const messages = ["", "=", "!", "AA", base64("\0romeo\0wrong"), FIRST, base64("c=biws,r=x,p=AAAA")];
const extensions = ["", BIND, AGENT + BIND, AGENT + FAST, RESUME, RESUME + BIND + AGENT + FAST];
const mechanisms = [
  "PLAIN",
  "SCRAM-SHA-1",
  "SCRAM-SHA-512",
  "EXTERNAL",
  "HT-SHA-256-NONE",
  "",
  "X",
];

const sasl = fc
  .tuple(fc.constantFrom("auth", "response", "abort", "success"), fc.constantFrom(...messages))
  .chain(([name, text]) =>
    fc
      .constantFrom(...mechanisms)
      .map((mechanism) => `<${name} xmlns='${SASL}' mechanism='${mechanism}'>${text}</${name}>`),
  );
const sasl2 = fc
  .tuple(
    fc.constantFrom(...mechanisms),
    fc.constantFrom(...messages),
    fc.constantFrom(...extensions),
    fc.boolean(),
  )
  .map(([mechanism, text, more, hasInitial]) => {
    const initial = hasInitial ? `<initial-response>${text}</initial-response>` : "";
    const name = `authenticate xmlns='${SASL2}' mechanism='${mechanism}'`;
    return `<${name}>${initial}${more}</authenticate>`;
  });
const answer2 = fc
  .tuple(fc.constantFrom("response", "abort", "next"), fc.constantFrom(...messages))
  .map(([name, text]) => `<${name} xmlns='${SASL2}'>${text}</${name}>`);
const others = fc.constantFrom(
  RESUME,
  "<enable xmlns='urn:xmpp:sm:3'/>",
  "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
  "<iq type='get' id='r'><query xmlns='jabber:iq:register'/></iq>",
  HEADER.replace("<?xml version='1.0'?>", ""),
);

test("no order of what is no login leads to one, or to a fault of ours", async () => {
  await using kit = await openKit({ limits: { failedLoginsPerStreamMax: 5 } });
  const steps = fc.array(fc.oneof(sasl, sasl2, answer2, others), { minLength: 1, maxLength: 8 });
  const words = new Set<string>();
  await fc.assert(
    fc.asyncProperty(steps, fc.boolean(), async (said, isAtOnce) => {
      const client = await kit.connect();
      await client.open();
      for (const one of isAtOnce ? [said.join("")] : said) client.send(one);
      client.socket.end("</stream:stream>");
      const heard = await client.readToEnd();
      expect(heard).not.toContain("<success");
      expect(heard).not.toContain("internal-server-error");
      for (const word of ["<challenge", "<failure", "<stream:error"]) {
        if (heard.includes(word)) words.add(word);
      }
    }),
    { numRuns: 400 },
  );
  expect(words.size).toBe(3); // They were heard, and answered in each of these ways.
  expect(kit.router.bound).toEqual([]);
  expect(kit.complaints).toEqual([]);
});
