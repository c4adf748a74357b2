{{/*
Who may do what. A release that runs keeps what it has, unless the values say otherwise: no upgrade refuses what was taken.
Without a cluster to ask (`helm template`, Argo CD) every rendering is that of a new release.
*/}}

{{/* `auth`, as JSON, whole also where an upgrade reuses the values of a release that did not know it. */}}
{{- define "alert-history.auth" -}}
{{- $token := dict "existingSecret" "" "existingSecretKey" "token" -}}
{{- $auth := dict "mode" "" "ingest" "" "metrics" "" "noneAccepted" false "acceptClosingIngest" false "adminToken" $token -}}
{{ mergeOverwrite $auth (deepCopy (.Values.auth | default dict)) | toJson }}
{{- end -}}

{{/*
The Deployment that runs now, as JSON: by its name, or where that was changed by the release's labels. `{}`: none, or no
cluster. Each lookup asks the cluster twice, so the answer is kept beside the values for the rest of the rendering.
*/}}
{{- define "alert-history.running" -}}
{{- if not (hasKey .Values "runningDeployment") -}}
{{- $running := lookup "apps/v1" "Deployment" .Release.Namespace (include "alert-history.fullname" .) | default dict -}}
{{- if and .Release.IsUpgrade (not $running) -}}
{{- range (lookup "apps/v1" "Deployment" .Release.Namespace "" | default dict).items -}}
{{- $labels := .metadata.labels | default dict -}}
{{- $parts := list (get $labels "app.kubernetes.io/instance") (get $labels "app.kubernetes.io/part-of") (get $labels "app.kubernetes.io/component") -}}
{{- if eq (join "/" $parts) (printf "%s/alert-history/service" $.Release.Name) }}{{ $running = . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- $_ := set .Values "runningDeployment" ($running | toJson) -}}
{{- end -}}
{{ .Values.runningDeployment }}
{{- end -}}

{{/* (dict "root" $ "name" NAME): the text that the running release gives a variable; `?` if it comes from somewhere else. */}}
{{- define "alert-history.runningLiteral" -}}
{{- $name := .name -}}
{{- range dig "spec" "template" "spec" "containers" list (include "alert-history.running" .root | fromJson) -}}
{{- if eq .name "alert-history" -}}
{{- range .env -}}
{{- if eq .name $name }}{{ .value | default "?" | lower | trim }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* "true" if there is a release already. */}}
{{- define "alert-history.exists" -}}
{{- if or .Release.IsUpgrade (ne "{}" (include "alert-history.running" .)) }}true{{ end -}}
{{- end -}}

{{/* (dict "root" $ "name" NAME "value" "mode" "new" what a new release gets): what a variable will be; empty: unset. */}}
{{- define "alert-history.trustValue" -}}
{{- $value := get (include "alert-history.auth" .root | fromJson) .value -}}
{{- if contains (printf " %s " .name) (include "alert-history.given" .root) -}}
{{ include "alert-history.literal" (dict "root" .root "name" .name) | lower | trim | default "?" }}
{{- else if $value -}}
{{ $value }}
{{- else if include "alert-history.exists" .root -}}
{{- $running := include "alert-history.runningLiteral" (dict "root" .root "name" .name) -}}
{{- if eq $running "?" }}{{ fail (printf "%s of the running release came from somewhere else: set auth, or %s in env" .name .name) }}{{ end -}}
{{ $running }}
{{- else -}}
{{ .new }}
{{- end -}}
{{- end -}}

{{/* An upgrade of a release whose Deployment is gone: it had a token if its Secret is there. */}}
{{- define "alert-history.authMode" -}}
{{- $new := "token" -}}
{{- $mode := include "alert-history.trustValue" (dict "root" . "name" "AUTH_MODE" "value" "mode" "new" $new) -}}
{{- if and (eq $mode "") (eq "{}" (include "alert-history.running" .)) (lookup "v1" "Secret" .Release.Namespace (include "alert-history.ownAdminSecret" .)) -}}
{{ $new }}
{{- else -}}
{{ $mode }}
{{- end -}}
{{- end -}}

{{/* Alertmanager drops an alert that is refused: what is open is closed by the operator's own word alone. */}}
{{- define "alert-history.ingestAuth" -}}
{{- $ingest := include "alert-history.trustValue" (dict "root" . "name" "INGEST_AUTH" "value" "ingest" "new" "") -}}
{{- if and (has $ingest (list "required" "?")) (include "alert-history.exists" .) (not (include "alert-history.auth" . | fromJson).acceptClosingIngest) -}}
{{- $running := include "alert-history.runningLiteral" (dict "root" . "name" "INGEST_AUTH") -}}
{{- if not (has $running (list "required" $ingest)) -}}
{{- fail "This would close ingest, which the running release has open: Alertmanager drops every alert that is refused. Give all senders a token with the scope ingest first, then set auth.acceptClosingIngest=true; or leave ingest open with auth.ingest=open" -}}
{{- end -}}
{{- end -}}
{{ $ingest }}
{{- end -}}

{{- define "alert-history.metricsAuth" -}}
{{ include "alert-history.trustValue" (dict "root" . "name" "METRICS_AUTH" "value" "metrics" "new" "") }}
{{- end -}}

{{/* "true" if AUTH_MODE=none is meant so. */}}
{{- define "alert-history.noneAccepted" -}}
{{- if (include "alert-history.auth" . | fromJson).noneAccepted }}true
{{- else if eq "true" (include "alert-history.runningLiteral" (dict "root" . "name" "AUTH_NONE_ACCEPTED")) }}true{{ end -}}
{{- end -}}

{{/* "true" if callers say who they are. */}}
{{- define "alert-history.asksWhoCalls" -}}
{{- if not (has (include "alert-history.authMode" .) (list "" "none")) }}true{{ end -}}
{{- end -}}

{{- define "alert-history.ownAdminSecret" -}}{{ include "alert-history.fullname" . }}-admin-token{{- end -}}
{{- define "alert-history.adminSecret" -}}
{{- (include "alert-history.auth" . | fromJson).adminToken.existingSecret | default (include "alert-history.ownAdminSecret" .) -}}
{{- end -}}
{{- define "alert-history.adminKey" -}}
{{- $token := (include "alert-history.auth" . | fromJson).adminToken -}}
{{- ternary $token.existingSecretKey "token" (not (empty $token.existingSecret)) -}}
{{- end -}}

{{/* "true" if the chart hands over the first token; empty where `env` does, or nobody has to say who they are. */}}
{{- define "alert-history.hasAdminToken" -}}
{{- if and (include "alert-history.asksWhoCalls" .) (not (contains " ADMIN_TOKEN " (include "alert-history.given" .))) }}true{{ end -}}
{{- end -}}

{{/* The first token in base64: what the cluster has, or a new one of 256 bits. Offline, lookup finds nothing. */}}
{{- define "alert-history.adminToken" -}}
{{- $secret := lookup "v1" "Secret" .Release.Namespace (include "alert-history.ownAdminSecret" .) | default dict -}}
{{- $random := randBytes 32 | replace "+" "-" | replace "/" "_" | trimSuffix "=" -}}
{{- dig "data" "token" (printf "aht_%s" $random | b64enc) $secret -}}
{{- end -}}

{{/* What the environment says of it. */}}
{{- define "alert-history.trustEnv" -}}
{{- $given := include "alert-history.given" . -}}
{{- $mode := include "alert-history.authMode" . -}}
{{- $own := dict "AUTH_MODE" $mode "INGEST_AUTH" (include "alert-history.ingestAuth" .) "METRICS_AUTH" (include "alert-history.metricsAuth" .) -}}
{{- if eq $mode "none" -}}
{{- $_ := set $own "AUTH_NONE_ACCEPTED" (include "alert-history.noneAccepted" .) -}}
{{- $production := eq "production" (include "alert-history.literal" (dict "root" . "name" "ENVIRONMENT")) -}}
{{- if and $production (not $own.AUTH_NONE_ACCEPTED) (not (contains " AUTH_NONE_ACCEPTED " $given)) -}}
{{- fail "AUTH_MODE=none lets everybody who can connect read all and switch modes, and ENVIRONMENT is production: set auth.noneAccepted=true if that is meant, else auth.mode=token" -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := $own }}
{{- if and $value (not (contains (printf " %s " $name) $given)) }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- if include "alert-history.hasAdminToken" . }}
- name: ADMIN_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ include "alert-history.adminSecret" . }}
      key: {{ include "alert-history.adminKey" . }}
{{- end }}
{{- end -}}
