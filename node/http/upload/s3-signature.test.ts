import { expect, test } from "vitest";
import { presign } from "./s3-signature.ts";

test("a URL is signed as the documentation of Amazon S3 shows it", () => {
  const key = {
    accessKeyId: "AKIAIOSFODNN7EXAMPLE",
    secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    region: "us-east-1",
  };
  const signed = presign(key, {
    method: "GET",
    url: new URL("https://examplebucket.s3.amazonaws.com/test.txt"),
    headers: {},
    nowMs: Date.UTC(2013, 4, 24),
    seconds: 86_400,
  });
  expect(signed.searchParams.get("X-Amz-Signature")).toBe(
    "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
  );
});
