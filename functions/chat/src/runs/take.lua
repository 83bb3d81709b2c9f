-- Takes a slot for an answer that is about to be made, unless there are as many as may be. A slot ends by itself unless
-- `append.lua` keeps it.
-- KEYS  1 slots of the tenant  2 slots of the user: sorted sets of slots by when they end
-- ARGV  1 slot  2 how long a slot lasts, milliseconds  3 slots of the tenant  4 slots of the user
-- Returns the limit that is reached, or an empty string.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, key in ipairs(KEYS) do redis.call('ZREMRANGEBYSCORE', key, '-inf', now) end
-- Sent again, because the first answer was lost.
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then return 'user_streams' end
  if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 'tenant_streams' end
end
for _, key in ipairs(KEYS) do
  redis.call('ZADD', key, now + tonumber(ARGV[2]), ARGV[1])
  redis.call('PEXPIRE', key, ARGV[2])
end
return ''
