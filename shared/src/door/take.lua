-- Takes tokens from buckets of one slot: from all or from none.
-- KEYS  the buckets
-- ARGV  1 clock (0: the server's)  2 cost, negative to give back  then for each bucket: interval, burst
-- Returns for each bucket: time to fill it, how far it lacks tokens (0 or less: it had them); in microseconds.
local now, cost = clock(ARGV[1]), tonumber(ARGV[2])
local reply, fills, lacking = {}, {}, false
for i, key in ipairs(KEYS) do
  local before, after, over = look(key, now, cost, tonumber(ARGV[1 + 2 * i]), tonumber(ARGV[2 + 2 * i]))
  reply[2 * i - 1], reply[2 * i], fills[i] = before, over, after
  if over > 0 then lacking = true end
end
if not lacking then
  for i, key in ipairs(KEYS) do
    set(key, now, fills[i])
    reply[2 * i - 1] = fills[i]
  end
end
return reply
