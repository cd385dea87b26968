/**
 * The inner end of a tunnel, run inside the network namespace: tunnel-inside.ts SOCKET.
 * Each connection to the socket begins with a line "host port"; "ok" answers it when that is
 * connected, and bytes then flow both ways.
 */
import type { Socket } from "node:net";
import { connect, createServer } from "node:net";
import { finished } from "node:stream/promises";

const LINE_BYTES_MAX = 300;
const CONNECT_MS = 5_000;

async function serve(outer: Socket): Promise<void> {
  const line = await readLine(outer);
  const [host = "", port = ""] = line.split(" ");
  const inner = connect({ host, port: Number(port), allowHalfOpen: true, noDelay: true });
  inner.setTimeout(CONNECT_MS, () => inner.destroy(new Error("no answer")));
  inner.once("connect", () => {
    inner.setTimeout(0);
    outer.write("ok\n");
    outer.pipe(inner);
    inner.pipe(outer);
  });
  // When one side breaks, the other must hear of it.
  await Promise.race([finished(inner), finished(outer)]).catch(() => {
    inner.destroy();
    outer.destroy();
  });
}

/** Reads the first line and leaves what follows it in the stream. */
function readLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let seen = Buffer.alloc(0);
    const onReadable = () => {
      seen = Buffer.concat([seen, socket.read() ?? Buffer.alloc(0)]);
      const end = seen.indexOf(10);
      if (end < 0 && seen.length <= LINE_BYTES_MAX) return;
      socket.off("readable", onReadable);
      if (end < 0) return reject(new Error("the first line is too long"));
      if (seen.length > end + 1) socket.unshift(seen.subarray(end + 1));
      resolve(seen.subarray(0, end).toString());
    };
    socket.on("readable", onReadable);
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed")));
  });
}

const [, , socketPath = ""] = process.argv;
createServer({ allowHalfOpen: true }, (outer) => {
  outer.on("error", () => outer.destroy());
  serve(outer).catch(() => outer.destroy());
}).listen(socketPath);
