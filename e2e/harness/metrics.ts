/** One metric of a node, read as Prometheus would. */
export async function metricOf(http: number, name: string): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${http}/metrics`)).text();
  const line = page.split("\n").find((one) => one.startsWith(`${name} `));
  if (line === undefined) throw new Error(`Cannot read metric ${name}: there is none`);
  return Number(line.slice(name.length + 1));
}
