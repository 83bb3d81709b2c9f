-- Reads on in the log of a run.
-- KEYS  1 run  2 its events
-- ARGV  1 owner  2 the number after which to read  3 the most events
-- Returns what the run is (none, live, ended, dead, lost), then numbers and events in turns. Of `ended` and `dead` there may be
-- more events unless none came.
local run = redis.call('HMGET', KEYS[1], 'owner', 'alive', 'ended', 'lost')
if run[1] ~= ARGV[1] then return {'none'} end
if run[4] then return {'lost'} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local reply = {run[3] and 'ended' or tonumber(run[2]) > now and 'live' or 'dead'}
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '(' .. ARGV[2] .. '-0', '+', 'COUNT', ARGV[3])) do
  reply[#reply + 1] = string.match(entry[1], '^%d+')
  reply[#reply + 1] = entry[2][2]
end
return reply
