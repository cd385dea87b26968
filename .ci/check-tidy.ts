/** The house rules that a script can see: sizes, dead exports, dead files, words that may not stand. */
import { listFiles, listSources, read, report, type Source } from "./sources.ts";

const LINES_MAX = 500;
const FUNCTION_LINES_MAX = 70;

/** Hosts of package registries, written in pieces so that this file does not name one. */
const REGISTRIES = [
  "registry\\.npm",
  "pypi\\.org",
  "crates\\.io",
  "proxy\\.golang",
  "repo1?\\.maven",
  "deb\\.debian",
];
const BANNED: readonly { readonly pattern: RegExp; readonly why: string }[] = [
  {
    pattern: new RegExp(`https?://[^\\s"']*(${REGISTRIES.join("|")})`),
    why: "names a registry host",
  },
  { pattern: /(^|[\s"'`=(])\/(work|root|home)\/[a-z]/, why: "names a path of one machine" },
  { pattern: /\b(describe|test|it)\.(only|skip|todo)\b/, why: "a test is skipped or alone" },
  { pattern: /\b(FIXME|XXX)\b|\bTODO(?!\(#\d+\))/, why: "an unfinished note without an issue" },
  { pattern: /@ts-(ignore|nocheck)|biome-ignore-all/, why: "silences the compiler" },
];

function banned(): readonly string[] {
  const faults: string[] = [];
  for (const file of listFiles()) {
    if (
      /\.(png|ico|sum)$|package-lock\.json$|Cargo\.lock$|^LICENSE$|^\.ci\/check-tidy\.ts$/.test(
        file,
      )
    )
      continue;
    for (const [index, line] of read(file).split("\n").entries()) {
      for (const { pattern, why } of BANNED) {
        if (pattern.test(line)) faults.push(`${file}:${index + 1} ${why}`);
      }
    }
  }
  return faults;
}

/** Functions longer than the limit, found by the indentation that the formatter guarantees. */
function longFunctions({ path, text }: Source): readonly string[] {
  const lines = text.split("\n");
  const faults: string[] = [];
  for (const [start, line] of lines.entries()) {
    if (
      !/(\bfunction\b.*\(|=>|^\s+(async |static |get |set |#)*[\w#[\].]+\(.*\)(: .*)?) ?\{$/.test(
        line,
      )
    )
      continue;
    if (/^\s*(if|for|while|switch|else|return|\}|describe|test)\b/.test(line)) continue;
    const indent = line.match(/^\s*/)?.[0] ?? "";
    const end = lines.findIndex((other, at) => at > start && other.startsWith(`${indent}}`));
    const length = end - start + 1;
    if (length > FUNCTION_LINES_MAX)
      faults.push(`${path}:${start + 1} a function of ${length} lines`);
  }
  return faults;
}

const EXPORT =
  /^export (?:async )?(?:const|let|function\*?|class|abstract class|interface|type) (?<name>[\w$]+)/gm;

/** Exports that no other file names. */
function deadExports(sources: readonly Source[]): readonly string[] {
  const wordsOf = new Map(sources.map(({ path, text }) => [path, new Set(text.match(/[\w$]+/g))]));
  const faults: string[] = [];
  for (const { path, text, isTest } of sources) {
    if (isTest) continue;
    for (const { groups } of text.matchAll(EXPORT)) {
      const name = (groups as { name: string }).name;
      const users = sources.filter(
        (other) => other.path !== path && wordsOf.get(other.path)?.has(name),
      );
      const isUsedInside = (text.match(new RegExp(`\\b${name}\\b`, "g")) ?? []).length > 1;
      // An exported type that its own file's exports mention is part of a signature.
      if (users.length === 0 && !(isUsedInside && /^[A-Z]/.test(name))) {
        faults.push(`${path}: nobody imports ${name}`);
      }
    }
  }
  return faults;
}

function checkTidy(): readonly string[] {
  const sources = listSources("node", "operator", "e2e", ".ci");
  return [
    ...banned(),
    ...sources.flatMap(({ path, text }) => {
      const count = text.split("\n").length;
      return count > LINES_MAX ? [`${path}: ${count} lines, at most ${LINES_MAX}`] : [];
    }),
    ...sources.filter(({ isTest }) => !isTest).flatMap(longFunctions),
    ...deadExports(sources),
  ];
}

if (import.meta.main) report("tidy", checkTidy());
