{{/* The service's environment: what the chart knows, unless `env` says it, and then `env`. */}}

{{/* The names in `env`, each between spaces; NAME_FILE counts as NAME, because both at once are refused. */}}
{{- define "alert-history.given" -}}
{{- range .Values.env }} {{ trimSuffix "_FILE" .name }} {{ end -}}
{{- end -}}

{{/* Any value as text: large numbers would else come out as 1e+07. */}}
{{- define "alert-history.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else if not (kindIs "invalid" .) }}{{ toJson . }}{{ end -}}
{{- end -}}

{{/* (dict "root" $ "name" NAME): the text that `env` gives it; empty if none, or if it comes from somewhere else. */}}
{{- define "alert-history.literal" -}}
{{- $name := .name -}}
{{- range .root.Values.env }}{{ if eq .name $name }}{{ include "alert-history.text" .value }}{{ end }}{{ end -}}
{{- end -}}

{{/* "true" if targets are looked for in Secrets. What comes from somewhere else may be true. */}}
{{- define "alert-history.discovers" -}}
{{- if contains " TARGET_DISCOVERY_ENABLED " (include "alert-history.given" .) -}}
{{- $literal := include "alert-history.literal" (dict "root" . "name" "TARGET_DISCOVERY_ENABLED") | lower | trim -}}
{{- if has $literal (list "" "true" "1" "yes" "on" "t" "y") }}true{{ end -}}
{{- else if .Values.targetDiscovery.enabled }}true{{ end -}}
{{- end -}}

{{- define "alert-history.targetNamespace" -}}
{{- $literal := include "alert-history.literal" (dict "root" . "name" "TARGET_DISCOVERY_NAMESPACE") -}}
{{- $literal | default .Values.targetDiscovery.namespace | default .Release.Namespace -}}
{{- end -}}

{{/* "true" if the database is not, or may not be, the chart's own. */}}
{{- define "alert-history.isDatabaseExternal" -}}
{{- if or (contains " DATABASE_URL " (include "alert-history.given" .)) (not .Values.postgresql.enabled) }}true{{ end -}}
{{- end -}}
{{- define "alert-history.isRedisExternal" -}}
{{- if or (contains " REDIS_URL " (include "alert-history.given" .)) (not .Values.redis.enabled) }}true{{ end -}}
{{- end -}}

{{- define "alert-history.postgresqlSecret" -}}
{{- .Values.postgresql.auth.existingSecret | default (include "alert-history.postgresqlName" .) -}}
{{- end -}}
{{- define "alert-history.redisSecret" -}}
{{- .Values.redis.auth.existingSecret | default (include "alert-history.redisName" .) -}}
{{- end -}}
{{- define "alert-history.connectionsSecret" -}}{{ include "alert-history.fullname" . }}-connections{{- end -}}

{{/* The chart's own database: the password stands apart from the URL, so that it may hold any character. */}}
{{- define "alert-history.ownDatabase" -}}
{{- $auth := .Values.postgresql.auth -}}
{{- if not (contains " PGPASSWORD " (include "alert-history.given" .)) }}
- name: PGPASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "alert-history.postgresqlSecret" . }}
      key: {{ $auth.secretKeys.userPasswordKey }}
{{- end }}
- name: DATABASE_URL
  value: postgresql://{{ $auth.username }}@{{ include "alert-history.postgresqlName" . }}:5432/{{ $auth.database }}
{{- end -}}

{{/* (dict "root" $ "name" NAME "external" values): a URL of somebody else's server, from a Secret. */}}
{{- define "alert-history.externalUrl" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .external.existingSecret | default (include "alert-history.connectionsSecret" .root) }}
      key: {{ ternary .external.existingSecretKey .name (not (empty .external.existingSecret)) }}
{{- end -}}

{{/* The ConfigMap with the routes file; empty if there are no routes. */}}
{{- define "alert-history.routesConfigMap" -}}
{{- if and .Values.routes .Values.existingRoutesConfigMap -}}
{{- fail "Routes come from one place: set routes or existingRoutesConfigMap, not both" -}}
{{- else if .Values.routes -}}
{{ include "alert-history.fullname" . }}-routes
{{- else -}}
{{ .Values.existingRoutesConfigMap }}
{{- end -}}
{{- end -}}
{{- define "alert-history.routesFolder" -}}/etc/alert-history/routes{{- end -}}

{{- define "alert-history.databaseEnv" -}}
{{- $external := .Values.externalDatabase -}}
{{- if contains " DATABASE_URL " (include "alert-history.given" .) -}}
{{- else if and .Values.postgresql.enabled (or $external.url $external.existingSecret) -}}
{{- fail "There are two databases: set postgresql.enabled=false to use externalDatabase" -}}
{{- else if .Values.postgresql.enabled -}}
{{ include "alert-history.ownDatabase" . }}
{{- else if or $external.url $external.existingSecret -}}
{{ include "alert-history.externalUrl" (dict "root" . "name" "DATABASE_URL" "external" $external) }}
{{- else -}}
{{- fail "There is no database: set postgresql.enabled=true, or externalDatabase.url or .existingSecret, or DATABASE_URL in env" -}}
{{- end -}}
{{- end -}}

{{- define "alert-history.redisEnv" -}}
{{- $external := .Values.externalRedis -}}
{{- $host := printf "%s:6379/0" (include "alert-history.redisName" .) -}}
{{- if contains " REDIS_URL " (include "alert-history.given" .) -}}
{{- else if and .Values.redis.enabled (or $external.url $external.existingSecret) -}}
{{- fail "There are two caches: set redis.enabled=false to use externalRedis" -}}
{{- else if and .Values.redis.enabled .Values.redis.auth.enabled -}}
{{- if not (contains " REDIS_PASSWORD " (include "alert-history.given" .)) }}
- name: REDIS_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "alert-history.redisSecret" . }}
      key: {{ .Values.redis.auth.existingSecretPasswordKey }}
{{- end }}
- name: REDIS_URL
  value: redis://{{ $host }}
{{- else if .Values.redis.enabled -}}
- name: REDIS_URL
  value: redis://{{ $host }}
{{- else if or $external.url $external.existingSecret -}}
{{ include "alert-history.externalUrl" (dict "root" . "name" "REDIS_URL" "external" $external) }}
{{- end -}}
{{- end -}}

{{/* The names by which the Service and the Ingress are asked; `*.example` is the name of no host. */}}
{{- define "alert-history.hostNames" -}}
{{- $full := include "alert-history.fullname" . -}}
{{- $inside := printf "%s.%s" $full .Release.Namespace -}}
{{- $names := list $full $inside (printf "%s.svc" $inside) (printf "%s.svc.cluster.local" $inside) -}}
{{- if .Values.ingress.enabled -}}
{{- range .Values.ingress.hosts }}{{- if and .host (not (contains "*" .host)) }}{{- $names = append $names .host }}{{- end }}{{- end -}}
{{- end -}}
{{- join "," $names -}}
{{- end -}}

{{- define "alert-history.env" -}}
{{- $given := include "alert-history.given" . -}}
{{- with include "alert-history.databaseEnv" . }}
{{ . }}
{{- end }}
{{- with include "alert-history.redisEnv" . }}
{{ . }}
{{- end }}
{{- if not (contains " SHUTDOWN_GRACE_SECONDS " $given) }}
- name: SHUTDOWN_GRACE_SECONDS
  value: {{ .Values.shutdown.graceSeconds | quote }}
{{- end }}
{{- if not (contains " TARGET_DISCOVERY_ENABLED " $given) }}
- name: TARGET_DISCOVERY_ENABLED
  value: {{ .Values.targetDiscovery.enabled | quote }}
{{- end }}
{{- if and (include "alert-history.discovers" .) (not (contains " TARGET_DISCOVERY_NAMESPACE " $given)) }}
- name: TARGET_DISCOVERY_NAMESPACE
  value: {{ include "alert-history.targetNamespace" . | quote }}
{{- end }}
{{- if and (include "alert-history.routesConfigMap" .) (not (contains " ROUTES " $given)) }}
- name: ROUTES_FILE
  value: {{ include "alert-history.routesFolder" . }}/routes.yml
{{- end }}
{{- if not (contains " MCP_ALLOWED_HOSTS " $given) }}
- name: MCP_ALLOWED_HOSTS
  value: {{ include "alert-history.hostNames" . | quote }}
{{- end }}
{{- with include "alert-history.trustEnv" . }}
{{ . | trim }}
{{- end }}
{{- range .Values.env }}
- name: {{ .name }}
  {{- if hasKey . "valueFrom" }}
  valueFrom:
    {{- toYaml .valueFrom | nindent 4 }}
  {{- else }}
  value: {{ include "alert-history.text" .value | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "alert-history.envFrom" -}}
{{- /* `helm upgrade --reuse-values` leaves out what the release before did not know. */ -}}
{{- range list .Values.llm.existingSecret (.Values.vendorWebhooks | default dict).existingSecret }}
{{- with . }}
- secretRef:
    name: {{ . }}
    optional: true
{{- end }}
{{- end }}
{{- with .Values.envFrom }}
{{ toYaml . }}
{{- end }}
{{- end -}}
