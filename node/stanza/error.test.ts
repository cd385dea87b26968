import { describe, expect, it } from "vitest";
import { el } from "../xml/element.ts";
import { serialize } from "../xml/write.ts";
import { fromElement } from "./envelope.ts";
import { errorReply, StanzaError } from "./error.ts";
import { Jid } from "./jid.ts";
import { iqRequest, resultReply } from "./reply.ts";

const NS = "urn:ietf:params:xml:ns:xmpp-stanzas";
const asked = fromElement(
  el("iq", { type: "get", id: "7", from: "a@b/c", to: "d@e" }, el("q", { xmlns: "u" })),
  0,
);

describe("errorReply", () => {
  it("goes back with the condition and its usual type", () => {
    expect(serialize(errorReply(asked, new StanzaError("service-unavailable")))).toBe(
      "<iq xmlns='jabber:client' type='error' id='7' from='d@e' to='a@b/c'>" +
        `<error type='cancel'><service-unavailable xmlns='${NS}'/></error></iq>`,
    );
  });

  it("carries a text, an application's condition, another type and an address", () => {
    const error = new StanzaError("gone", "Moved <away>", {
      type: "modify",
      application: el("blocked", { xmlns: "urn:xmpp:blocking:errors" }),
      address: "xmpp:x@y",
    });
    expect(serialize(errorReply(asked, error))).toContain(
      `<error type='modify'><gone xmlns='${NS}'>xmpp:x@y</gone>` +
        `<text xmlns='${NS}' xml:lang='en'>Moved &lt;away&gt;</text>` +
        "<blocked xmlns='urn:xmpp:blocking:errors'/></error>",
    );
  });

  it("has no id when the stanza had none", () => {
    const message = fromElement(el("message", { from: "a@b", to: "c@d" }), 0);
    expect(errorReply(message, new StanzaError("forbidden")).attrs.id).toBeUndefined();
  });
});

describe("StanzaError", () => {
  it("is an error with a stable code", () => {
    const cause = new Error("why");
    const error = new StanzaError("remote-server-timeout", "Cannot reach e", { cause });
    expect(error).toMatchObject({
      name: "StanzaError",
      code: "remote-server-timeout",
      condition: "remote-server-timeout",
      errorType: "wait",
      message: "Cannot reach e",
      cause,
    });
    expect(new StanzaError("conflict").message).toBe("Cannot process stanza: conflict");
  });
});

describe("iq stanzas of the server", () => {
  it("answer a request, with or without a payload", () => {
    expect(resultReply(asked).toString()).toBe(
      "<iq xmlns='jabber:client' type='result' id='7' from='d@e' to='a@b/c'/>",
    );
    expect(resultReply(asked, el("q", { xmlns: "u" })).toString()).toContain(
      "><q xmlns='u'/></iq>",
    );
  });

  it("ask", () => {
    const request = {
      type: "set",
      id: "p1",
      from: Jid.parse("a@b"),
      to: Jid.parse("a@b/c"),
    } as const;
    expect(serialize(iqRequest(request, el("q", { xmlns: "u" })))).toBe(
      "<iq xmlns='jabber:client' type='set' id='p1' from='a@b' to='a@b/c'><q xmlns='u'/></iq>",
    );
  });
});
