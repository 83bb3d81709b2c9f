-- Stores an answer if the epoch it was computed under still stands, and ends the lease to compute it.
-- KEYS  1 epochs  2 answers to the request
-- ARGV  1 clock (0: the server's)  2 scope  3 epoch  4 permission set
--       5 how long the answer may be served, microseconds; 0 if there is none to store
--       6 how long it took to compute, microseconds  7 entity tag  8 content type  9 body
-- Returns 1 if it was stored.
local now, life, set_name = clock(ARGV[1]), tonumber(ARGV[5]), ARGV[4]
redis.call('HDEL', KEYS[2], set_name .. ':lease')
if life == 0 or epoch_of(KEYS[1], ARGV[2]) ~= ARGV[3] then return 0 end
local expires = string.format('%.0f', now + life)
local meta = ARGV[3] .. ' ' .. expires .. ' ' .. ARGV[6] .. ' ' .. ARGV[7] .. ' ' .. ARGV[8]
redis.call('HSET', KEYS[2], set_name .. ':meta', meta, set_name .. ':body', ARGV[9])
-- Entries of other permission sets may live longer than this one.
local milliseconds = math.ceil(life / 1000)
if redis.call('PTTL', KEYS[2]) < milliseconds then redis.call('PEXPIRE', KEYS[2], milliseconds) end
return 1
