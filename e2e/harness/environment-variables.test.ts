import { expect, test } from "vitest";
import type { Place } from "./environment-variables.ts";
import { fromVariables, toVariables } from "./environment-variables.ts";

const PLACE: Place = {
  kubeconfig: "/k.yaml",
  kubectl: "/bin/kubectl",
  helm: "/bin/helm",
  netns: "net",
  etcdEndpoint: "http://10.0.0.1:2379",
  etcdFromHere: "http://127.0.0.1:1",
  cassandra: "10.0.0.1:9042",
  cassandraDatacenter: "east",
  nodeImage: "registry.example:5000/zonda-node",
  versions: ["0.1.0", "0.1.1"],
  operatorImage: "registry.example:5000/zonda-operator:0.1.0",
};

test("a place survives the way through environment variables", () => {
  expect(fromVariables(toVariables(PLACE))).toEqual(PLACE);
});

test("what is optional may be left out", () => {
  const left = { kubectl: undefined, helm: undefined, netns: undefined, etcdFromHere: undefined };
  expect(fromVariables(toVariables({ ...PLACE, ...left }))).toEqual({ ...PLACE, ...left });
});

test("every missing variable is named", () => {
  const variables = { E2E_KUBECONFIG: "/k.yaml", E2E_CASSANDRA: "", E2E_NODE_IMAGE: "x" };
  const message = "set E2E_ETCD_ENDPOINT, E2E_CASSANDRA, E2E_OPERATOR_IMAGE";
  expect(() => fromVariables(variables)).toThrow(message);
});

test.each(["", "0.1.0", "0.1.0,", "0.1.0,0.1.1,0.1.2"])("versions %j are refused", (versions) => {
  const variables = { ...toVariables(PLACE), E2E_VERSIONS: versions };
  expect(() => fromVariables(variables)).toThrow("E2E_VERSIONS to two versions");
});
