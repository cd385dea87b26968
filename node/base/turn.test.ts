import { expect, test } from "vitest";
import { gatherAtEndOfTurn, writeAtEndOfTurn } from "./turn.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test("what is gathered at the end of a turn is written in it, and what is left in the next", async () => {
  const done: string[] = [];
  writeAtEndOfTurn(() => void done.push("write first"));
  gatherAtEndOfTurn(() => {
    done.push("gather");
    writeAtEndOfTurn(() => void done.push("write"));
    gatherAtEndOfTurn(() => void done.push("gather the rest"));
  });
  expect(done).toEqual([]);
  await turn();
  expect(done).toEqual(["gather", "write first", "write"]);
  await turn();
  expect(done.at(-1)).toBe("gather the rest");
});
