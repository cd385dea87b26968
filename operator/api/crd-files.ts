/** The files that hold the CRD: the plain manifest, and the chart's template around it. */
import { stringify } from "yaml";
import { customResourceDefinition } from "./custom-resource.ts";

const HEAD = "# Generated from operator/api/ by operator/api/write-crds.ts; a test compares.\n";

/** Text by path from the repository's root. */
export function crdFiles(): Record<string, string> {
  const manifest = stringify(customResourceDefinition(), {
    lineWidth: 0,
    aliasDuplicateObjects: false,
  });
  return {
    "crds/xmppcluster.yaml": HEAD + manifest,
    "charts/xmpp-operator/templates/crds/xmppcluster.yaml": template(manifest),
  };
}

/** Helm never upgrades what lies in a chart's crds folder, so the CRD is a template. */
function template(manifest: string): string {
  const name = /^ {2}name: .*\n/m;
  const keep =
    '  {{- if .Values.crds.keep }}\n  annotations:\n    "helm.sh/resource-policy": keep\n  {{- end }}\n';
  const labels = '  labels:\n    {{- include "xmpp-operator.labels" . | nindent 4 }}\n';
  const body = manifest.replace(name, (line) => line + keep + labels);
  return `{{- if .Values.crds.enabled }}\n${HEAD}${body}{{- end }}\n`;
}
