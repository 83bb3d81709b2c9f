-- Asks a run to stop.
-- KEYS  1 run
-- ARGV  1 owner
-- Returns 1 if there is such a run, be it at its end.
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'stop', 1)
return 1
