/** What the node says: pretty on a terminal, JSON otherwise; never stanza bodies or credentials. */

import { pino, stdTimeFunctions } from "pino";
import pretty from "pino-pretty";
import type { Logger } from "../base/log.ts";
import type { Configuration } from "../config/schema.ts";

/** Fields that must never be written, wherever they turn up. */
const REDACTED_KEYS = [
  "password",
  "credentials",
  "storedKey",
  "serverKey",
  "salt",
  "key",
  "token",
  "body",
  "bytes",
  "payload",
  "stanza",
  "authorization",
];

const redactedPaths = REDACTED_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]);

const options = ({ level }: Configuration["log"]) => ({
  level,
  base: null,
  redact: { paths: redactedPaths, censor: "[redacted]" },
  timestamp: stdTimeFunctions.isoTime,
});

/** @param destination where JSON lines go; standard output by default. */
export function openLog(
  settings: Configuration["log"],
  destination?: { write(line: string): void },
): Logger {
  if (destination !== undefined) return pino(options(settings), destination);
  const isPretty =
    settings.format === "pretty" || (settings.format === "auto" && process.stdout.isTTY === true);
  if (!isPretty) return pino(options(settings));
  return pino(
    options(settings),
    pretty({
      translateTime: "SYS:HH:MM:ss.l",
      ignore: "room",
      messageFormat: "{room}: {msg}",
      sync: true,
    }),
  );
}
