-- Gives back the slots of an answer that is not made after all.
-- KEYS  where they are kept
-- ARGV  1 slot
for _, key in ipairs(KEYS) do redis.call('ZREM', key, ARGV[1]) end
return 1
