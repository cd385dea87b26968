/** XEP-0158: an account that is asked for without having read the picture. */
import { RawClient } from "../../node/session/testing/raw-client.ts";
import type { BadInput, Doors } from "./contract.ts";
import { stanzaErrorIn } from "./told.ts";

const REGISTER = "jabber:iq:register";

const asking = (type: "get" | "set", content: string) =>
  `<iq type='${type}' id='captcha'><query xmlns='${REGISTER}'>${content}</query></iq>`;

const form = (values: Readonly<Record<string, string>>) => {
  const all = { FORM_TYPE: REGISTER, username: "balthasar", password: "secret", ...values };
  const fields = Object.entries(all).map(
    ([name, value]) => `<field var='${name}'><value>${value}</value></field>`,
  );
  return `<x xmlns='jabber:x:data' type='submit'>${fields.join("")}</x>`;
};

/** @param make what is sent, one after the other, of the id of a challenge that was asked for */
async function answered(doors: Doors, make: (id: string) => readonly string[]): Promise<string> {
  const client = await RawClient.connect(doors.c2s);
  try {
    await client.open();
    const ask = (iq: string) => {
      client.send(iq);
      return client.read(/<iq [^>]*id='captcha'.*?<\/iq>/s);
    };
    const shown = await ask(asking("get", ""));
    let answer = "";
    const id = /var='challenge'[^>]*><value>([^<]+)</.exec(shown)?.[1] ?? "";
    for (const content of make(id)) answer = stanzaErrorIn(await ask(asking("set", content)));
    return answer;
  } finally {
    client.destroy();
  }
}

const challenge = (name: string, make: (id: string) => readonly string[]): BadInput => ({
  ...{ name, answer: "iq error, modify: not-acceptable" },
  send: (doors) => answered(doors, make),
});

/** No picture has these letters. */
const WRONG = "0";

export const captcha: readonly BadInput[] = [
  challenge("an account without a form", () => [
    "<username>balthasar</username><password>secret</password>",
  ]),
  challenge("a form without a challenge", () => [form({ ocr: WRONG })]),
  challenge("a challenge that was never made", () => [form({ challenge: "none", ocr: WRONG })]),
  challenge("a form without the letters", (id) => [form({ challenge: id })]),
  challenge("the wrong letters", (id) => [form({ challenge: id, ocr: WRONG })]),
  challenge("a second try with the same picture", (id) => [
    form({ challenge: id, ocr: WRONG }),
    form({ challenge: id, ocr: WRONG }),
  ]),
  challenge("a picture for a name that there cannot be", (id) => [
    form({ challenge: id, ocr: WRONG, username: "ro meo" }),
  ]),
];
