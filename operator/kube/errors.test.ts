import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeError, decodeWatchError, isKubeError, KubeError } from "./errors.ts";

test("a Status says what could not be done, why, and when to come again", () => {
  const status = {
    kind: "Status",
    message: "too many requests",
    reason: "TooManyRequests",
    details: { retryAfterSeconds: 3 },
  };
  const error = decodeError("list Pod", 429, JSON.stringify(status));
  expect(error.message).toBe("Cannot list Pod: too many requests (429 TooManyRequests)");
  expect(error).toMatchObject({ status: 429, reason: "TooManyRequests", retryAfterSeconds: 3 });
  // The header is about this very answer and goes before the body.
  expect(decodeError("x", 429, JSON.stringify(status), "9").retryAfterSeconds).toBe(9);
  expect(decodeError("x", 503, "", "Fri, 31 Dec 1999 23:59:59 GMT").retryAfterSeconds).toBe(
    undefined,
  );
});

test("a 404 about an object and one about a path are told apart", () => {
  const gone = { reason: "NotFound", details: { name: "a" } };
  expect(decodeError("get Pod n/a", 404, JSON.stringify(gone)).reason).toBe("NotFound");
  expect(decodeError("get Pod n/a", 404, "404 page not found").reason).toBe("KindNotServed");
});

test("any answer of any proxy becomes an error, and a long one is quoted in part", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 300, max: 599 }),
      fc.string({ maxLength: 5_000 }),
      (status, body) => {
        const error = decodeError("get Pod n/a", status, body);
        expect(error.status).toBe(status);
        expect(error.message.length).toBeLessThan(600);
      },
    ),
  );
  fc.assert(
    fc.property(fc.json(), (body) => {
      expect(isKubeError(decodeError("x", 500, body))).toBe(true);
      expect(isKubeError(decodeWatchError("x", JSON.parse(body)))).toBe(true);
    }),
  );
});

test("an error is recognised by its class and its reason", () => {
  const error = new KubeError("Cannot x: y", { status: 409, reason: "Conflict" });
  expect(isKubeError(error, "Conflict")).toBe(true);
  expect(isKubeError(error, "AlreadyExists")).toBe(false);
  expect(isKubeError(new Error("Conflict"), "Conflict")).toBe(false);
});
