-- For wrk: asks as one user after the other, whose tokens are in the file `arg[1]`, and prints what came of it as JSON.
local requests, at = {}, 0

function init(arguments)
  for token in io.lines(arguments[1]) do
    requests[#requests + 1] = wrk.format('GET', '/documents', {authorization = 'Bearer ' .. token})
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  local ms = function(percentile) return latency:percentile(percentile) / 1000 end
  print(string.format('{"requests": %d, "seconds": %f, "failed": %d, "p50": %f, "p95": %f, "p99": %f}',
    summary.requests, summary.duration / 1000000, failed, ms(50), ms(95), ms(99)))
end
