/** What a Cassandra of one node is told: its cassandra.yaml, its logging and its JVM options. */
import path from "node:path";
import { stringify } from "yaml";

export interface CassandraSettings {
  readonly folder: string;
  readonly address: string;
  readonly cqlPort: number;
  readonly storagePort: number;
  readonly heapMb: number;
  /** It is started so often that compiling it well takes more than it saves. */
  readonly isShortLived: boolean;
  readonly commitLog: CommitLog;
}

/**
 * When a write is on disk. periodic: within a second, as in production, where other replicas have
 * it too. batch: before it is answered, so a single node that is killed forgets nothing.
 */
export type CommitLog = "periodic" | "batch";

/** The text of cassandra.yaml. */
export function cassandraYaml(settings: CassandraSettings): string {
  const { folder, address, cqlPort, storagePort, commitLog } = settings;
  const under = (name: string) => path.join(folder, name);
  return stringify({
    cluster_name: "zonda",
    num_tokens: 1,
    partitioner: "org.apache.cassandra.dht.Murmur3Partitioner",
    commitlog_sync: commitLog,
    ...(commitLog === "periodic" && { commitlog_sync_period: "1000ms" }),
    // What cannot write ends, and is started again: the default leaves a process that answers nobody.
    disk_failure_policy: "die",
    commit_failure_policy: "die",
    data_file_directories: [under("data")],
    commitlog_directory: under("commitlog"),
    saved_caches_directory: under("saved-caches"),
    hints_directory: under("hints"),
    cdc_raw_directory: under("cdc"),
    seed_provider: [
      {
        class_name: "org.apache.cassandra.locator.SimpleSeedProvider",
        parameters: [{ seeds: `${address}:${storagePort}` }],
      },
    ],
    endpoint_snitch: "SimpleSnitch",
    auto_bootstrap: false,
    listen_address: address,
    storage_port: storagePort,
    rpc_address: address,
    native_transport_port: cqlPort,
  });
}

/** Warnings and the start of the server, on standard output. */
export const LOGBACK = `<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date{ISO8601} %-5level %logger{0} %message%n</pattern></encoder>
  </appender>
  <logger name="org.apache.cassandra.service.CassandraDaemon" level="INFO"/>
  <logger name="org.apache.cassandra.transport" level="INFO"/>
  <root level="WARN"><appender-ref ref="out"/></root>
</configuration>
`;

/** Packages of the JDK that Cassandra 5.0 reaches into (its own conf/jvm17-server.options). */
const EXPORTS = [
  "java.base/java.lang.ref",
  "java.base/jdk.internal.misc",
  "java.base/jdk.internal.ref",
  "java.base/jdk.internal.perf",
  "java.base/sun.nio.ch",
  "java.management.rmi/com.sun.jmx.remote.internal.rmi",
  "java.management/com.sun.jmx.remote.security",
  "java.rmi/sun.rmi.registry",
  "java.rmi/sun.rmi.server",
  "java.rmi/sun.rmi.transport",
  "java.rmi/sun.rmi.transport.tcp",
  "java.sql/java.sql",
  "java.logging/java.util.logging",
  "jdk.unsupported/sun.misc",
  "jdk.attach/sun.tools.attach",
  "jdk.compiler/com.sun.tools.javac.file",
];
const OPENS = [
  "java.base/java.io",
  "java.base/java.lang",
  "java.base/java.lang.module",
  "java.base/java.lang.reflect",
  "java.base/java.math",
  "java.base/java.net",
  "java.base/java.nio",
  "java.base/java.nio.charset",
  "java.base/java.util",
  "java.base/java.util.concurrent",
  "java.base/java.util.concurrent.atomic",
  "java.base/jdk.internal.loader",
  "java.base/jdk.internal.math",
  "java.base/jdk.internal.module",
  "java.base/jdk.internal.ref",
  "java.base/jdk.internal.reflect",
  "java.base/jdk.internal.util.jar",
  "java.base/sun.nio.ch",
  "jdk.management/com.sun.management.internal",
];

/** The arguments of java. `jars` is the folder with Cassandra's jars; `jamm` one of them. */
export function javaArguments(settings: CassandraSettings, jars: string, jamm: string) {
  const { folder, heapMb, isShortLived } = settings;
  const properties = {
    "cassandra.config": `file://${path.join(folder, "cassandra.yaml")}`,
    "cassandra.storagedir": folder,
    "cassandra-foreground": "yes",
    "logback.configurationFile": path.join(folder, "logback.xml"),
    "cassandra.skip_wait_for_gossip_to_settle": "0",
    "cassandra.ring_delay_ms": "0",
    "jdk.attach.allowAttachSelf": "true",
    "java.net.preferIPv4Stack": "true",
    "java.io.tmpdir": path.join(folder, "tmp"),
  };
  return [
    `-Xms${heapMb}m`,
    `-Xmx${heapMb}m`,
    "-XX:+UseG1GC",
    ...(isShortLived ? ["-XX:TieredStopAtLevel=1"] : []),
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    `-XX:ErrorFile=${path.join(folder, "hs_err.log")}`,
    `-javaagent:${path.join(jars, jamm)}`,
    ...EXPORTS.map((name) => `--add-exports=${name}=ALL-UNNAMED`),
    ...OPENS.map((name) => `--add-opens=${name}=ALL-UNNAMED`),
    ...Object.entries(properties).map(([key, value]) => `-D${key}=${value}`),
    "-cp",
    path.join(jars, "*"),
    "org.apache.cassandra.service.CassandraDaemon",
  ];
}
