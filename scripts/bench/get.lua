-- wrk script: linearizable GETs of the keys that put.lua writes.
local requests = {}
local count = 20000

function init(args)
  for i = 1, count do requests[i] = wrk.format("GET", "/v1/kv/bench/" .. (i * 7919 % count)) end
end

local at = 0
function request()
  at = at % count + 1
  return requests[at]
end
