{{/* What the service's containers have in common. The service writes nowhere but in /tmp. */}}
{{- define "alert-history.container" -}}
env:
  {{- include "alert-history.env" . | trim | nindent 2 }}
{{- with include "alert-history.envFrom" . | trim }}
envFrom:
  {{- . | nindent 2 }}
{{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  {{- if include "alert-history.routesConfigMap" . }}
  # The folder, not the file in it: what is mounted by `subPath` never changes.
  - name: routes
    mountPath: {{ include "alert-history.routesFolder" . }}
    readOnly: true
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Pods of one revision are spread among themselves, where Kubernetes can tell them apart. */}}
{{- define "alert-history.spread" -}}
{{- $spread := .Values.topologySpread -}}
{{- if and $spread.enabled $spread.topologyKeys }}
topologySpreadConstraints:
  {{- range $spread.topologyKeys }}
  - topologyKey: {{ . }}
    maxSkew: {{ $spread.maxSkew }}
    whenUnsatisfiable: {{ $spread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "alert-history.selector" $ | nindent 8 }}
    {{- if semverCompare ">=1.27-0" (include "alert-history.kubeVersion" $) }}
    matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
{{- end }}
{{- end -}}
