import { expect, it } from "vitest";
import { checkDeclaration } from "./declaration.ts";

const check = (text: string) => () => checkDeclaration(Buffer.from(text));

it("accepts what XML 1.0 allows, in UTF-8", () => {
  for (const text of [
    "<?xml version='1.0'?>",
    '<?xml version="1.0"?>',
    "<?xml\tversion = '1.1' ?>",
    "<?xml version='1.0' encoding=\"utf-8\"?>",
    "<?xml version='1.0' encoding='UTF-8' standalone='yes'?>",
    "<?xml version='1.0' standalone='no'?>",
  ]) {
    expect(check(text)).not.toThrow();
  }
});

it.each([
  ["<?xml version='1.0' encoding='UTF-16'?>", "unsupported-encoding"],
  ["<?xml version='1.0' encoding='ISO-8859-1'?>", "unsupported-encoding"],
  ["<?xmlversion='1.0'?>", "restricted-xml"],
  ["<?php?>", "restricted-xml"],
  ["<?XML version='1.0'?>", "restricted-xml"],
  ["<?xml ?>", "not-well-formed"],
  ["<?xml version='2.0'?>", "not-well-formed"],
  ["<?xml version='1.0\"?>", "not-well-formed"],
  ["<?xml encoding='UTF-8' version='1.0'?>", "not-well-formed"],
  ["<?xml version='1.0'encoding='UTF-8'?>", "not-well-formed"],
  ["<?xml version='1.0' encoding=''?>", "not-well-formed"],
  ["<?xml version='1.0' standalone='maybe'?>", "not-well-formed"],
  ["<?xml version='1.0' encoding='UTF-8' x='y'?>", "not-well-formed"],
])("refuses %s: %s", (text, condition) => {
  expect(check(text)).toThrow(expect.objectContaining({ condition }));
});
