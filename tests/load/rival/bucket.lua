-- Token buckets, all in one round trip: takes a token from each, or from none.
-- KEYS  the buckets
-- ARGV  for each bucket: its size, and how many tokens are added a second
-- Returns 1 if tokens were taken, then for each bucket how many are left.
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local left, allowed = {}, 1
for i, key in ipairs(KEYS) do
  local size, rate = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local bucket = redis.call('HMGET', key, 'tokens', 'at')
  left[i] = size
  if bucket[1] then left[i] = math.min(size, bucket[1] + (now - bucket[2]) * rate) end
  if left[i] < 1 then allowed = 0 end
end
local reply = {allowed}
for i, key in ipairs(KEYS) do
  if allowed == 1 then
    local size, rate = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
    left[i] = left[i] - 1
    redis.call('HSET', key, 'tokens', left[i], 'at', now)
    redis.call('EXPIRE', key, math.ceil(size / rate) + 1)
  end
  reply[i + 1] = math.floor(left[i])
end
return reply
