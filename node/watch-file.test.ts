import { expect, test } from "vitest";
import { FakeClock } from "./base/fake-clock.ts";
import { watchFile } from "./watch-file.ts";

const turns = async () => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

test("a change is told once, when the file has been left alone, and a missing file is no change", async () => {
  const clock = new FakeClock();
  let text: string | undefined = "one";
  let changes = 0;
  const read = () =>
    text === undefined ? Promise.reject(new Error("no such file")) : Promise.resolve(text);
  const onChange = () => {
    changes += 1;
  };
  const poll = async () => {
    await turns();
    clock.advance(2_000);
    await turns();
  };
  using _ = watchFile({ file: "x", clock, read, onChange });
  await poll();
  text = ""; // An editor has emptied it and goes on writing.
  await poll();
  text = "two";
  await poll();
  expect(changes).toBe(0);
  await poll();
  expect(changes).toBe(1);
  text = undefined;
  await poll();
  await poll();
  text = "two";
  await poll();
  await poll();
  expect(changes).toBe(1);
});
