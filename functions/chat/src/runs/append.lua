-- Adds events to the log of a run, says that it lives, keeps its slots, and asks whether it is to stop.
-- KEYS  1 run: a hash of `owner`, `alive` (until when, in milliseconds), `last` (the number of its last event), `bytes`, and of
--         `ended`, `stop` and `lost`, which are there if they hold
--       2 its events: a stream whose ids are their numbers
--       3 slots of the tenant  4 slots of the user  5 the run that answers in the conversation
-- ARGV  1 run  2 its slot  3 owner  4 how long it lives without a word, milliseconds  5 how long it is kept, seconds
--       6 the most bytes of a log  7 1 if it is at its end  8 1 if events are missing  9 number of the first event  then the events
-- Returns 1 if it is to stop.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HMGET', KEYS[1], 'last', 'bytes', 'lost', 'stop')
local last, bytes, lost = tonumber(known[1] or 0), tonumber(known[2] or 0), known[3] or ARGV[8] == '1'
local first = tonumber(ARGV[9])
-- A gap: the events before were lost with the memory of the server.
if #ARGV > 9 and first > last + 1 then lost = true end
for i = 10, #ARGV do
  local number = first + i - 10
  -- What was sent before, whose answer was lost, is there.
  if not lost and number > last then
    bytes = bytes + #ARGV[i]
    if bytes > tonumber(ARGV[6]) then
      lost = true
    else
      redis.call('XADD', KEYS[2], number .. '-0', 'e', ARGV[i])
      last = number
    end
  end
end
redis.call('HSET', KEYS[1], 'owner', ARGV[3], 'alive', now + tonumber(ARGV[4]), 'last', last, 'bytes', bytes)
if lost then
  -- Part of an answer is of no use.
  redis.call('HSET', KEYS[1], 'lost', 1)
  redis.call('DEL', KEYS[2])
end
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('EXPIRE', KEYS[2], ARGV[5])
if ARGV[7] == '1' then
  redis.call('HSET', KEYS[1], 'ended', 1)
  redis.call('ZREM', KEYS[3], ARGV[2])
  redis.call('ZREM', KEYS[4], ARGV[2])
  if redis.call('GET', KEYS[5]) == ARGV[1] then redis.call('DEL', KEYS[5]) end
else
  for i = 3, 4 do
    redis.call('ZADD', KEYS[i], now + tonumber(ARGV[4]), ARGV[2])
    redis.call('PEXPIRE', KEYS[i], ARGV[4])
  end
  redis.call('SET', KEYS[5], ARGV[1], 'PX', ARGV[4])
end
return known[4] and 1 or 0
