{{/* Names and labels. */}}

{{- define "alert-history.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 45 characters, so that there is room for "-redis-master" and the like. A release may have dots, a Service may not. */}}
{{- define "alert-history.fullname" -}}
{{- $name := include "alert-history.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | replace "." "-" | trunc 45 | trimSuffix "-" -}}
{{- end -}}

{{- define "alert-history.postgresqlName" -}}{{ include "alert-history.fullname" . }}-postgresql{{- end -}}
{{- define "alert-history.redisName" -}}{{ include "alert-history.fullname" . }}-redis-master{{- end -}}

{{- define "alert-history.serviceAccountName" -}}
{{- $made := ternary (include "alert-history.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $made .Values.serviceAccount.name -}}
{{- end -}}

{{/* (dict "root" $ "name" "postgresql"): what selects pods; never changes. Quoted, because a name may be a number. */}}
{{- define "alert-history.selectorOf" -}}
app.kubernetes.io/name: {{ .name | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- end -}}

{{/* (dict "root" $ "name" "postgresql" "component" "database"): of pods; without versions, which would restart them. */}}
{{- define "alert-history.podLabelsOf" -}}
{{ include "alert-history.selectorOf" . }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: alert-history
{{- end -}}

{{- define "alert-history.labelsOf" -}}
{{ include "alert-history.podLabelsOf" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 }}
{{- end -}}

{{- define "alert-history.selector" -}}
{{ include "alert-history.selectorOf" (dict "root" . "name" (include "alert-history.name" .)) }}
{{- end -}}

{{- define "alert-history.labels" -}}
{{ include "alert-history.labelsOf" (dict "root" . "name" (include "alert-history.name" .) "component" "service") }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{- define "alert-history.postgresqlSelector" -}}
{{ include "alert-history.selectorOf" (dict "root" . "name" "postgresql") }}
{{- end -}}
{{- define "alert-history.postgresqlPodLabels" -}}
{{ include "alert-history.podLabelsOf" (dict "root" . "name" "postgresql" "component" "database") }}
{{- end -}}
{{- define "alert-history.postgresqlLabels" -}}
{{ include "alert-history.labelsOf" (dict "root" . "name" "postgresql" "component" "database") }}
{{- end -}}

{{- define "alert-history.redisSelector" -}}
{{ include "alert-history.selectorOf" (dict "root" . "name" "redis") }}
{{- end -}}
{{- define "alert-history.redisPodLabels" -}}
{{ include "alert-history.podLabelsOf" (dict "root" . "name" "redis" "component" "cache") }}
{{- end -}}
{{- define "alert-history.redisLabels" -}}
{{ include "alert-history.labelsOf" (dict "root" . "name" "redis" "component" "cache") }}
{{- end -}}

{{- define "alert-history.backupSelector" -}}
{{ include "alert-history.selectorOf" (dict "root" . "name" "postgresql-backup") }}
{{- end -}}
{{- define "alert-history.backupPodLabels" -}}
{{ include "alert-history.podLabelsOf" (dict "root" . "name" "postgresql-backup" "component" "backup") }}
{{- end -}}
{{- define "alert-history.backupLabels" -}}
{{ include "alert-history.labelsOf" (dict "root" . "name" "postgresql-backup" "component" "backup") }}
{{- end -}}

{{/* (dict "root" $ "path" path): rules or a dashboard that find this release's autoscaler, volumes and backup. */}}
{{- define "alert-history.watched" -}}
{{- $own := printf ".*%s.*" (include "alert-history.fullname" .root) -}}
{{- $backup := printf ".*%s\"" .root.Values.backup.name -}}
{{- .root.Files.Get .path | replace ".*alert-history.*" $own | replace ".*postgresql-backup\"" $backup -}}
{{- end -}}

{{/* (dict "image" .Values.image "tag" "used where none is given") */}}
{{- define "alert-history.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .tag }}
{{- end -}}
{{- end -}}

{{/* The newest versions of objects that this Kubernetes knows. */}}
{{- define "alert-history.kubeVersion" -}}
{{- .Values.kubeVersionOverride | default .Capabilities.KubeVersion.Version | trimPrefix "v" -}}
{{- end -}}
{{- define "alert-history.hpaVersion" -}}
{{- semverCompare ">=1.23-0" (include "alert-history.kubeVersion" .) | ternary "autoscaling/v2" "autoscaling/v2beta2" -}}
{{- end -}}
{{- define "alert-history.pdbVersion" -}}
{{- semverCompare ">=1.21-0" (include "alert-history.kubeVersion" .) | ternary "policy/v1" "policy/v1beta1" -}}
{{- end -}}
{{- define "alert-history.cronJobVersion" -}}
{{- semverCompare ">=1.21-0" (include "alert-history.kubeVersion" .) | ternary "batch/v1" "batch/v1beta1" -}}
{{- end -}}

{{/* (dict "root" $ "secret" name "key" key): the value that is there, or a new one. Offline, lookup finds nothing. */}}
{{- define "alert-history.keptPassword" -}}
{{- $found := lookup "v1" "Secret" .root.Release.Namespace .secret -}}
{{- $data := default (dict) ($found | default dict).data -}}
{{- if hasKey $data .key -}}
{{ index $data .key }}
{{- else -}}
{{ randAlphaNum 32 | b64enc }}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "claim" persistence "name" name "labels" labels): a volume claim; "keep" keeps it after uninstall. */}}
{{- define "alert-history.claim" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- .labels | nindent 4 }}
  {{- if .claim.keep }}
  annotations:
    helm.sh/resource-policy: keep
  {{- end }}
spec:
  accessModes:
    {{- toYaml (.claim.accessModes | default (list "ReadWriteOnce")) | nindent 4 }}
  {{- with .claim.storageClass }}
  storageClassName: {{ . | quote }}
  {{- end }}
  resources:
    requests:
      storage: {{ .claim.size | quote }}
{{- end -}}

{{/* Where a pod may run: (dict "at" values) */}}
{{- define "alert-history.placement" -}}
{{- with .at.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .at.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .at.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
