-- wrk script: linearizable GETs of the keys that put.lua writes.
local requests = {}
local count = 20000

function init(args)
  math.randomseed(tonumber(args[1]) or 1)
  for i = 1, count do requests[i] = wrk.format("GET", "/v1/kv/bench/" .. math.random(1, 100000)) end
end

local at = 0
function request()
  at = at % count + 1
  return requests[at]
end
