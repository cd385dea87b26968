import { expect, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { openLog } from "./log.ts";

function written(act: (log: Logger) => void): string {
  const lines: string[] = [];
  act(
    openLog({ level: "debug", format: "json" }, { write: (line: string) => void lines.push(line) }),
  );
  return lines.join("");
}

test("credentials and stanza bodies never reach the log, nested or not", () => {
  const output = written((log) => {
    log.info({ password: "hunter2", body: "hello love" }, "login");
    log.warn({ config: { store: { password: "hunter2" } }, user: { key: "hunter2" } }, "config");
  });
  expect(output).not.toMatch(/hunter2|hello love/);
  expect(output.match(/\[redacted\]/g)).toHaveLength(4);
});

test("a line is one JSON object with time, level and message", () => {
  const output = written((log) => log.child({ room: "c2s" }).info({ sessions: 3 }, "drained"));
  expect(JSON.parse(output)).toMatchObject({ level: 30, room: "c2s", sessions: 3, msg: "drained" });
  expect(output).toMatch(/"time":"\d{4}-/);
});

test("a failure that was expected is a short line, one that was not has its stack", () => {
  const cause = new Error("no answer");
  const output = written((log) => {
    log.warn(
      { err: new Unavailable("store-timeout", "Cannot read: no answer", { cause }) },
      "later",
    );
    log.error({ err: new TypeError("a bug") }, "failed");
  });
  const [expected, unexpected] = output
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).err);
  expect(expected).toEqual({
    type: "Unavailable",
    code: "store-timeout",
    message: "Cannot read: no answer",
  });
  expect(unexpected).toMatchObject({
    type: "TypeError",
    stack: expect.stringContaining("log.test"),
  });
});
