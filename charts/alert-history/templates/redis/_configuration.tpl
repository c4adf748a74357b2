{{/* Redis takes no comment after a setting; quotes may hold a #. */}}
{{- define "alert-history.redisConfiguration" -}}
dir /data
{{ regexReplaceAll `(?m)^([ \t]*[^#\s"'](?:[^"'\n]|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')*?)[ \t]+#.*$` .Values.redis.master.configuration "${1}" | trim }}
{{- end -}}
