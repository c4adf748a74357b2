{{/* (dict "root" $ "script" "backup.sh"): the pod that runs it beside the dumps. */}}
{{- define "alert-history.backupPod" -}}
{{- $root := .root -}}
{{- $auth := $root.Values.postgresql.auth -}}
metadata:
  labels:
    {{- include "alert-history.backupPodLabels" $root | nindent 4 }}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml $root.Values.postgresql.primary.podSecurityContext | nindent 4 }}
  containers:
    - name: {{ trimSuffix ".sh" .script }}
      image: {{ include "alert-history.image" (dict "image" $root.Values.postgresql.image "tag" "") }}
      imagePullPolicy: {{ $root.Values.postgresql.image.pullPolicy }}
      command: [bash, /scripts/{{ .script }}]
      env:
        - name: PGHOST
          value: {{ include "alert-history.postgresqlName" $root }}
        - name: PGUSER
          value: {{ $auth.username | quote }}
        - name: PGDATABASE
          value: {{ $auth.database | quote }}
        - name: PGPASSWORD
          valueFrom:
            secretKeyRef:
              name: {{ include "alert-history.postgresqlSecret" $root }}
              key: {{ $auth.secretKeys.userPasswordKey }}
        - name: BACKUP_DIR
          value: /backup
        - name: RETENTION_DAYS
          value: {{ $root.Values.backup.retentionDays | quote }}
        - name: KEEP_AT_LEAST
          value: {{ $root.Values.backup.keepAtLeast | quote }}
      resources:
        {{- toYaml $root.Values.backup.resources | nindent 8 }}
      securityContext:
        {{- toYaml $root.Values.securityContext | nindent 8 }}
      volumeMounts:
        - name: scripts
          mountPath: /scripts
          readOnly: true
        - name: backup
          mountPath: /backup
        - name: tmp
          mountPath: /tmp
  volumes:
    - name: scripts
      configMap:
        name: {{ include "alert-history.fullname" $root }}-backup
    - name: backup
      persistentVolumeClaim:
        claimName: {{ $root.Values.backup.persistence.existingClaim | default (printf "%s-backup" (include "alert-history.fullname" $root)) }}
    - name: tmp
      emptyDir:
        sizeLimit: 256Mi
  {{- with include "alert-history.placement" (dict "at" $root.Values.postgresql.primary) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}
