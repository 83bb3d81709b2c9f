-- Replaces the epochs of scopes: what was computed under the old ones is served no more.
-- KEYS  1 epochs
-- ARGV  1 a value never used before  2 how long epochs are kept, seconds  then the scopes
-- Each document that ever changed has a field. When they are too many, all epochs become new, which costs cached answers.
if redis.call('HLEN', KEYS[1]) > 10000 then redis.call('DEL', KEYS[1]) end
for i = 3, #ARGV do redis.call('HSET', KEYS[1], ARGV[i], ARGV[1]) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
