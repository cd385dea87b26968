/** What the node says: pretty on a terminal, JSON otherwise; never stanza bodies or credentials. */

import { pino, stdSerializers, stdTimeFunctions } from "pino";
import pretty from "pino-pretty";
import { Unavailable } from "../base/errors.ts";
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

/** What was expected says what could not be done and why: a stack of calls says no more, and makes the line long. */
const err = (error: Error): object =>
  error instanceof Unavailable
    ? { type: error.name, code: error.code, message: error.message }
    : stdSerializers.err(error);

const options = ({ level }: Configuration["log"]) => ({
  level,
  base: null,
  redact: { paths: redactedPaths, censor: "[redacted]" },
  serializers: { err },
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
