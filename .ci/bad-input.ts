/**
 * docs/bad-input.md: what the server answers to input that it must not take. A case is a step of a
 * dialogue under a comment "Bad input: NAME"; the step after it is the answer, which the test holds.
 * What comes to other doors than the streams of clients is in e2e/bad-input/.
 */
import path from "node:path";
import type { Element } from "ltx";
import { AT_OTHER_DOORS } from "../e2e/bad-input/index.ts";
import { readDialogues } from "../e2e/harness/dialogue-files.ts";
import type { Action, Dialogue } from "../e2e/harness/dialogue-parser.ts";
import { root } from "./sources.ts";

const MARK = /^# Bad input: (.+)$/;

export interface BadInput {
  readonly feature: string;
  readonly name: string;
  readonly answer: string;
  /** Below e2e/. */
  readonly file: string;
}

const namesIn = (element: Element): string =>
  element
    .getChildElements()
    .map((child) => child.getName())
    .filter((name) => name !== "text")
    .join(", ");

/** "failure: aborted", "message error, modify: jid-malformed"; nothing where it names no condition. */
function answerOf(stanza: Element): string | undefined {
  const error = stanza.getChild("error");
  const names = namesIn(error ?? stanza);
  if (names === "") return undefined;
  const kind = stanza.getName();
  return error === undefined ? `${kind}: ${names}` : `${kind} error, ${error.attrs.type}: ${names}`;
}

function describe(action: Action | undefined): string | undefined {
  if (action?.kind === "disconnected")
    return action.condition && `stream error: ${action.condition}`;
  if (action?.kind !== "receive") return undefined;
  const [stanza] = action.stanzas;
  return stanza === undefined ? undefined : answerOf(stanza);
}

function casesOf({ file, lines, steps }: Dialogue): readonly BadInput[] {
  return [...lines.entries()].flatMap(([at, line]) => {
    const name = MARK.exec(line)?.[1];
    if (name === undefined) return [];
    const index = steps.findIndex((step) => step.line > at);
    const answer = describe(steps[index + 1]?.action);
    if (steps[index]?.action.kind !== "send" || answer === undefined) {
      throw new Error(`Cannot list ${file}:${at + 1}: no step that sends, and one that answers it`);
    }
    return [{ feature: path.dirname(file), name, answer, file: `dialogues/${file}` }];
  });
}

/** Every case, by feature. @throws Error for two of one name */
export async function badInputs(): Promise<readonly BadInput[]> {
  const dialogues = await readDialogues(path.join(root, "e2e/dialogues"));
  const others = Object.entries(AT_OTHER_DOORS).flatMap(([feature, inputs]) =>
    inputs.map(({ name, answer }) => ({ feature, name, answer, file: `bad-input/${feature}.ts` })),
  );
  const cases = [...dialogues.flatMap(casesOf), ...others].sort((one, other) =>
    one.feature.localeCompare(other.feature, "en"),
  );
  const seen = new Set<string>();
  for (const { feature, name, file } of cases) {
    if (seen.has(`${feature}: ${name}`)) throw new Error(`Cannot list ${file}: "${name}" twice`);
    seen.add(`${feature}: ${name}`);
  }
  return cases;
}
