import { expect, test } from "vitest";
import { openMetrics } from "./metrics.ts";

test("metrics are read when scraped", async () => {
  const stats = { accepted: 0, sessions: 0 };
  const metrics = openMetrics<typeof stats>(
    [
      { name: "t_accepted_total", kind: "counter", help: "Accepted.", read: (s) => s.accepted },
      { name: "t_sessions", kind: "gauge", help: "Sessions.", read: (s) => s.sessions },
    ],
    stats,
  );
  stats.accepted = 7;
  stats.sessions = 2;
  expect(await metrics.render()).toContain("t_accepted_total 7");
  stats.accepted = 8;
  stats.sessions = 0;
  const text = await metrics.render();
  expect(text).toContain("t_accepted_total 8");
  expect(text).toContain("t_sessions 0");
  expect(text).toContain("# HELP t_sessions Sessions.");
});
