"""The past of a company and a recorded incident, for pages that are not empty on the first day.

`scenes` puts both together. `past` makes ninety days of alerts from a seed: `rules` fire in the places of a `company`,
as on all `days`, in `stories` and in `incidents`; its `alertmanager` and `silences` tell of that, and `deliveries` says
whom it went to. `docs/explanation/demo.md` says what can be found there.

`replay` reads the incident of `incident.jsonl.zst`. The story, two hours of a Kubernetes shop: the disk of a
database node fills, Postgres turns read-only, checkout and payments fail, queues grow, workers crash loop; the disk is
enlarged and all of it recovers. All along a network card flaps, a throttled container fires and resolves every minute
and a half, a Watchdog says that the pipeline lives, and a few things nobody gets to are still firing at the end.

It was recorded, not written: a real Prometheus 2.42 evaluated rules over the story's metrics and a real Alertmanager
0.25 sent these very bodies; a second Prometheus, of a staging cluster, sent its own straight to `/api/v2/alerts`. The
story was played thirty times as fast, every `for:` and `group_interval` shortened alike, and the replay stretches all
times by thirty again. So a generator URL shows `[20s]` where the rule of a real shop would say `[10m]`.
Record it again with `python -m tests.e2e.record_incident src/alert_history/demo/incident.jsonl.zst`.
"""
