import { expect, test } from "vitest";
import { strictly } from "./names.ts";
import { presigner } from "./s3-urls.ts";

test("a URL is signed as the documentation of Amazon S3 shows it", async () => {
  const key = {
    accessKeyId: "AKIAIOSFODNN7EXAMPLE",
    secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    region: "us-east-1",
  };
  const signed = await presigner(key)({
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

test("headers and awkward names are signed as botocore signs them", async () => {
  const key = { accessKeyId: "AKID", secretAccessKey: "secret", region: "eu-west-1" };
  const signed = await presigner(key)({
    method: "PUT",
    url: new URL(`https://s3.example/files/uploads/id/${strictly("a b (1).png")}`),
    headers: { "content-length": "7", "content-type": "image/png" },
    nowMs: Date.parse("2026-11-25T17:25:36Z"),
    seconds: 300,
  });
  expect(signed.searchParams.get("X-Amz-Signature")).toBe(
    "8e38e988effb7a5da2fd5f2d845e79819a385a9f8223ddf498bc610df81cbc50",
  );
});
