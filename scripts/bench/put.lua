-- wrk script: PUTs of 128 bytes to 20,000 keys, prepared beforehand so that the generator stays cheap.
local requests = {}
local count = 20000

function init(args)
  math.randomseed(tonumber(args[1]) or 1)
  for i = 1, count do
    local value = {}
    for j = 1, 128 do value[j] = string.char(math.random(97, 122)) end
    requests[i] = wrk.format("PUT", "/v1/kv/bench/" .. (i * 7919 % count), { ["Content-Type"] = "text/plain" }, table.concat(value))
  end
end

local at = 0
function request()
  at = at % count + 1
  return requests[at]
end
