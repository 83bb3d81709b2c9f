-- Token buckets in the form of the generic cell rate algorithm: a bucket is one number, the theoretical arrival time (TAT)
-- in microseconds. It stands for a bucket of `burst` tokens to which one is added every `interval` microseconds:
-- TAT - now is the time until the bucket is full, so that (capacity - (TAT - now)) / interval tokens are in it.

-- The server's clock in microseconds, or the one that is given (tests fix it; 0 is the server's).
local function clock(given)
  local now = tonumber(given)
  if now > 0 then return now end
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Sets the time to fill a bucket. A full one needs no key.
local function set(key, now, fill)
  if fill > 0 then
    redis.call('SET', key, string.format('%.0f', now + fill), 'PX', math.ceil(fill / 1000) + 1)
  else
    redis.call('DEL', key)
  end
end

-- Looks at a bucket. Returns the time to fill it before and after `cost` tokens are taken, and by how much that is too
-- much (0 or less: they can be taken). A negative cost gives tokens back. No cost is higher than the bucket can hold.
local function look(key, now, cost, interval, burst)
  local capacity = interval * burst
  local before = math.max(tonumber(redis.call('GET', key) or 0) - now, 0)
  if before > capacity then
    -- No bucket is emptier than empty, whatever the clock or the plan did since. It is to fill from now on, so this is
    -- kept even if nothing is taken.
    before = capacity
    set(key, now, before)
  end
  local after = before + math.min(cost, burst) * interval
  return before, math.max(after, 0), after - capacity
end
