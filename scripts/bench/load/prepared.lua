-- wrk script: sends the requests of a file that was prepared for it, chosen uniformly, and prints a line of JSON (load-result.ts).
-- The file: each request after a line with its length in bytes.
local requests = {}
local count = 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local length = file:read("*l")
  while length do
    count = count + 1
    requests[count] = file:read(tonumber(length))
    length = file:read("*l")
  end
  file:close()
  math.randomseed(tonumber(args[2]))
end

function request()
  return requests[math.random(count)]
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  local first = ""
  if failed > 0 then
    first = string.format("%d connections refused, %d reads and %d writes failed, %d statuses above 399, %d timeouts",
      errors.connect, errors.read, errors.write, errors.status, errors.timeout)
  end
  local seconds = summary.duration / 1000000
  local succeeded = summary.requests - errors.status
  io.write(string.format(
    '\n{"operations":%d,"seconds":%.6f,"perSecond":%.3f,"errors":%d,"firstError":"%s",' ..
    '"latency":{"p50":%d,"p99":%d,"p999":%d,"max":%d},"longestGap":0,"generatorCpu":%d,' ..
    '"generatorLag":{"p99":0,"max":0},"series":[]}\n',
    succeeded, seconds, succeeded / seconds, failed, first,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max, os.clock() * 1000000))
end
