{{- define "xmpp-operator.name" -}}
{{- if contains "xmpp-operator" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-xmpp-operator" (.Release.Name | trunc 36 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "xmpp-operator.selector" -}}
app.kubernetes.io/name: xmpp-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "xmpp-operator.labels" -}}
{{ include "xmpp-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: zonda
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "xmpp-operator.serviceAccount" -}}
{{- if .Values.serviceAccount.name -}}
{{- .Values.serviceAccount.name -}}
{{- else if .Values.serviceAccount.create -}}
{{- include "xmpp-operator.name" . -}}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{- define "xmpp-operator.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The namespace to work in; empty for all. */}}
{{- define "xmpp-operator.watched" -}}
{{- if ne .Values.watchNamespace "*" -}}
{{- .Values.watchNamespace | default .Release.Namespace -}}
{{- end -}}
{{- end -}}
