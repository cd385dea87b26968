import { errors, types } from "cassandra-driver";
import { describe, expect, test } from "vitest";
import { Unavailable } from "../../base/errors.ts";
import { asOpenFailure, asUnavailable, isUnauthorized, isUnknownName } from "./failure.ts";

const { responseErrorCodes } = types;
const host = (error: Error) => new errors.NoHostAvailableError({ "192.0.2.1:9042": error }, "");

describe("a driver's error", () => {
  test.each([
    ["store-timeout", new errors.OperationTimedOutError("slow")],
    ["store-timeout", host(new errors.OperationTimedOutError("slow"))],
    ["store-timeout", new errors.ResponseError(responseErrorCodes.readTimeout, "slow")],
    ["store-timeout", new errors.ResponseError(responseErrorCodes.writeTimeout, "slow")],
    ["store-timeout", new errors.ResponseError(0x1700, "CAS result unknown")],
    ["store-overload", new errors.BusyConnectionError("192.0.2.1:9042", 2_048, 1)],
    ["store-overload", new errors.ResponseError(responseErrorCodes.overloaded, "busy")],
    ["store-unavailable", new errors.ResponseError(responseErrorCodes.unavailableException, "1")],
    ["store-unavailable", new errors.ResponseError(responseErrorCodes.invalid, "too large")],
    ["store-unavailable", host(new Error("connect ECONNREFUSED"))],
    ["store-unavailable", new Error("Client is shutting down")],
  ])("is told as %s, with its cause", (code, error) => {
    const told = asUnavailable(error, "read the roster");
    expect(told).toBeInstanceOf(Unavailable);
    expect(told).toMatchObject({ code, cause: error });
    expect(String(told)).toMatch(/^Unavailable: Cannot read the roster: /);
  });

  test("of several servers is told in one line that names each", () => {
    const error = new errors.NoHostAvailableError({
      "192.0.2.1:9042": new Error("connect ECONNREFUSED"),
      "192.0.2.2:9042": new errors.OperationTimedOutError("slow"),
    });
    expect(String(asUnavailable(error, "read the roster"))).toBe(
      "Unavailable: Cannot read the roster: no server could be asked " +
        "(192.0.2.1:9042: connect ECONNREFUSED; 192.0.2.2:9042: slow)",
    );
  });

  test("that is a bug of ours is not told as an outage", () => {
    const bug = new TypeError("Not a valid blob");
    expect(asUnavailable(bug, "read the roster")).toBe(bug);
  });

  test("that says the login or datacenter is wrong refuses to start", () => {
    const login = new errors.AuthenticationError("Provided username and/or password are incorrect");
    for (const error of [login, host(login), new errors.ArgumentError("no such datacenter")]) {
      expect(asOpenFailure(error)).toMatchObject({ name: "ConfigError", cause: error });
    }
    const down = host(new Error("connect ECONNREFUSED"));
    expect(asOpenFailure(down)).toMatchObject({ code: "store-unavailable" });
  });

  test("that says a name is not known yet is recognised, also behind Unavailable", () => {
    const { invalid, serverError, syntaxError } = responseErrorCodes;
    const table = new errors.ResponseError(invalid, "table offline does not exist");
    const early = new errors.ResponseError(
      serverError,
      "IllegalArgumentException: Unknown CF 22f7",
    );
    expect(isUnknownName(table)).toBe(true);
    expect(isUnknownName(asUnavailable(early, "connect"))).toBe(true);
    expect(isUnknownName(new errors.ResponseError(serverError, "disk full"))).toBe(false);
    expect(isUnknownName(new errors.ResponseError(syntaxError, "no"))).toBe(false);
  });

  test("that says our role lacks a permission is recognised", () => {
    const { unauthorized, invalid } = responseErrorCodes;
    expect(isUnauthorized(new errors.ResponseError(unauthorized, "no CREATE permission"))).toBe(
      true,
    );
    expect(isUnauthorized(new errors.ResponseError(invalid, "no"))).toBe(false);
  });
});
