import { expect, test } from "vitest";
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
