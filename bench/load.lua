-- wrk's side of the load: Alertmanager notifications as fast as the service answers them.
--
--     wrk … -s bench/load.lua URL -- FOLDER distinct|repeats ALERTS_A_REQUEST KNOWN_ALERTS SEED
--
-- distinct: every alert is new (pod, instance, start and fingerprint of its own).
-- repeats: KNOWN_ALERTS alerts, the same requests round and round.
-- What goes to /api/v2/alerts is the bare list of alerts, as Prometheus sends it.
-- Prints one line of JSON at the end. Must build what notifications.py builds: both fill in the same templates.

local function lines_of(path)
  local lines = {}
  for line in io.lines(path) do
    lines[#lines + 1] = line
  end
  return lines
end

local alert_template, notification_template, names
local per_request, known, turn
local requests = {}

local function render()
  local number = math.random(0, 2 ^ 31 - 1)
  local name = names[number % #names + 1]
  local namespace = "shop-" .. number % 40
  local severity = number % 3 == 0 and "critical" or "warning"
  local team = "team-" .. number % 12
  local started = os.date("!%Y-%m-%dT%H:%M:%S", os.time() - number % 30)
  local alerts = {}
  for place = 1, per_request do
    local one, two = math.random(0, 2 ^ 31 - 1), math.random(0, 2 ^ 31 - 1)
    local pod = string.format("checkout-%08x-%05x", one, place)
    local instance = one % 256 .. "." .. two % 256
    local starts_at = string.format("%s.%03d", started, two % 1000)
    local fingerprint = string.format("%08x%08x", one * 2 + place % 2, two * 2)
    alerts[place] = string.format(alert_template, name, instance, namespace, pod, severity, team, pod, name, name,
      pod, starts_at, fingerprint)
  end
  local list = table.concat(alerts, ",")
  local body = string.format(notification_template, list, name, namespace, name, namespace, severity, team, name, name,
    namespace)
  if wrk.path == "/api/v2/alerts" then
    body = "[" .. list .. "]"
  end
  return string.format("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
    wrk.path, wrk.host, #body, body)
end

function init(args)
  local folder, kind = args[1], args[2]
  alert_template = lines_of(folder .. "/alert.template")[1]
  notification_template = lines_of(folder .. "/notification.template")[1]
  names = lines_of(folder .. "/alertnames.txt")
  per_request, known, turn = tonumber(args[3]), tonumber(args[4]), 0
  math.randomseed(tonumber(args[5]))
  if kind == "repeats" then
    for place = 1, known / per_request do
      requests[place] = render()
    end
  end
end

function request()
  if #requests == 0 then
    return render()
  end
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"seconds":%f,"requests":%d,"refused":%d,"broken":%d,"p50_ms":%f,"p99_ms":%f,"max_ms":%f}\n',
    summary.duration / 1e6, summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
