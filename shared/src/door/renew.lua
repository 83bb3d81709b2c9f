-- Replaces the epochs of scopes: what was computed under the old ones is served no more.
-- KEYS  1 epochs
-- ARGV  1 a value never used before  2 how long epochs are kept, seconds  then the scopes
for i = 3, #ARGV do redis.call('HSET', KEYS[1], ARGV[i], ARGV[1]) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
