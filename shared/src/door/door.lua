-- Everything a request must know before work starts. Every key lies in the slot of the tenant.
-- KEYS  1 bucket of the tenant   2 bucket of the user
--       3 record of the tenant   4 record of the caller: a user, or an API key with its maker
--       5 epochs: a hash of the epoch of each scope (see epoch.lua), with `mark` and `trusted` (see epochs.rs)
--       6 answers to this request: a hash, by permission set (fields `<set>:meta`, `<set>:body`, `<set>:lease`)
--       7 requests by month that are not entered into the usage yet, with `entered`, the time when some last were
-- ARGV  1 clock (0: the server's)
--       2 cost in tokens; 0 only looks
--       3 how long epochs are trusted, microseconds
--       4 a value never used before, for an epoch that is missing
--       5 scope whose answer is asked for; empty if none is
--       6 role of a caller whose record says none
--       7 factor of early refresh: -ln(random) * beta
--       8 how long the lease to compute an answer lasts, microseconds
--       9 1 if a stored answer is not wanted, only the lease to compute one
--      10 mark, read from the database; empty if it was not
--      11 the time of the call that asked for it
--      12 epoch of the records that follow
--      13 record of the tenant; empty if none follows   14 its version   15-18 interval and burst of tenant and user
--      19 record of the caller; empty if none follows   20 its version   21 its role   22 its grants, `!` if it is barred
--      23 how long records are kept, seconds
--      24 month   25 how long requests wait until they are entered, microseconds
-- Returns one of
--      {'load', now, epoch of the records, mark wanted, tenant wanted, caller wanted, month, requests to be entered}
--      {'barred', now}
--      {'denied' or 'allowed', now, tenant fill, tenant over, user fill, user over, tenant record, caller record,
--       epoch of the scope, what became of the answer: none, hit, miss, stale or held, permission set, meta, body}
local now = clock(ARGV[1])
local KEEP_EPOCHS = 7 * 24 * 3600
local KEEP_REQUESTS = 35 * 24 * 3600

-- Trust: the epochs may be used if the database said lately that no change was left untold.
local epochs = redis.call('HMGET', KEYS[5], 'mark', 'trusted', 'users')
local mark, trusted, users = epochs[1], tonumber(epochs[2] or 0), epochs[3]
if ARGV[10] ~= '' then
  -- A mark that is news, to a cache that lost its memory too, may be younger than the records that were read beside it.
  -- No such mark is `-`: there never was a change that was left untold.
  if mark ~= ARGV[10] and (mark or ARGV[10] ~= '-') then
    redis.call('DEL', KEYS[5])
    users, trusted = false, 0
  end
  trusted = math.max(trusted, tonumber(ARGV[11]) + tonumber(ARGV[3]))
  redis.call('HSET', KEYS[5], 'mark', ARGV[10], 'trusted', string.format('%.0f', trusted))
  redis.call('EXPIRE', KEYS[5], KEEP_EPOCHS)
end
if not users then
  users = ARGV[4]
  redis.call('HSET', KEYS[5], 'users', users)
  redis.call('EXPIRE', KEYS[5], KEEP_EPOCHS)
end

-- Records: kept under the epoch they were read under, and never replaced by an older version.
local function keep(key, version, fields)
  if ARGV[12] ~= users then return end
  local stored = redis.call('HMGET', key, 'epoch', 'version')
  if stored[1] == users and tonumber(stored[2]) > tonumber(version) then return end
  redis.call('HSET', key, 'epoch', users, 'version', version, unpack(fields))
  redis.call('EXPIRE', key, ARGV[23])
end
if ARGV[13] ~= '' then
  keep(KEYS[3], ARGV[14], {'body', ARGV[13], 'ti', ARGV[15], 'tb', ARGV[16], 'ui', ARGV[17], 'ub', ARGV[18]})
end
if ARGV[19] ~= '' then
  keep(KEYS[4], ARGV[20], {'body', ARGV[19], 'role', ARGV[21], 'grants', ARGV[22]})
end
local tenant = redis.call('HMGET', KEYS[3], 'epoch', 'body', 'ti', 'tb', 'ui', 'ub')
local caller = redis.call('HMGET', KEYS[4], 'epoch', 'body', 'role', 'grants')
local untrusted, no_tenant, no_caller = trusted <= now, tenant[1] ~= users, caller[1] ~= users
if untrusted or no_tenant or no_caller then
  -- The database is asked now; that is the occasion to enter requests of a month.
  local month, requests = '', 0
  if untrusted and now - tonumber(redis.call('HGET', KEYS[7], 'entered') or 0) > tonumber(ARGV[25]) then
    for _, name in ipairs(redis.call('HKEYS', KEYS[7])) do
      if name ~= 'entered' then month = name end
    end
    if month ~= '' then
      requests = tonumber(redis.call('HGET', KEYS[7], month))
      redis.call('HDEL', KEYS[7], month)
    end
    redis.call('HSET', KEYS[7], 'entered', string.format('%.0f', now))
    redis.call('EXPIRE', KEYS[7], KEEP_REQUESTS)
  end
  return {'load', now, users, untrusted and 1 or 0, no_tenant and 1 or 0, no_caller and 1 or 0, month, requests}
end
if caller[4] == '!' then return {'barred', now} end

-- Limits: from both buckets or from none.
local cost = tonumber(ARGV[2])
local tenant_before, tenant_after, tenant_over = look(KEYS[1], now, cost, tonumber(tenant[3]), tonumber(tenant[4]))
local user_before, user_after, user_over = look(KEYS[2], now, cost, tonumber(tenant[5]), tonumber(tenant[6]))
if cost > 0 and (tenant_over > 0 or user_over > 0) then
  return {'denied', now, tenant_before, tenant_over, user_before, user_over, tenant[2], caller[2]}
end
if cost > 0 then
  set(KEYS[1], now, tenant_after)
  set(KEYS[2], now, user_after)
  if redis.call('HINCRBY', KEYS[7], ARGV[24], 1) == 1 then redis.call('EXPIRE', KEYS[7], KEEP_REQUESTS) end
end

local reply = {'allowed', now, tenant_after, tenant_over, user_after, user_over, tenant[2], caller[2], '', 'none', '', '', ''}
if ARGV[5] == '' then return reply end

-- The answer: usable if it was computed under the epoch that still stands.
local epoch = epoch_of(KEYS[5], ARGV[5])
if not epoch then
  redis.call('HSET', KEYS[5], string.find(ARGV[5], ':', 1, true) and 'base' or ARGV[5], ARGV[4])
  epoch = epoch_of(KEYS[5], ARGV[5])
end
local set_name = (caller[3] ~= '' and caller[3] or ARGV[6]) .. caller[4]
reply[9], reply[10], reply[11] = epoch, 'miss', set_name
local meta = ARGV[9] ~= '1' and redis.call('HGET', KEYS[6], set_name .. ':meta')
local usable, early = false, false
if meta then
  local under, expires, took = string.match(meta, '^(%S+) (%d+) (%d+) ')
  if under ~= epoch then
    reply[10] = 'stale'
  elseif tonumber(expires) > now then
    usable = true
    -- Early refresh (XFetch: Vattani, Chierichetti and Lowenstein, VLDB 2015): the closer the end and the dearer the
    -- answer, the likelier one caller computes it again while the others are still served.
    early = now + tonumber(took) * tonumber(ARGV[7]) >= tonumber(expires)
  end
end

-- The lease: one computes, the others wait for it. A lease under another epoch is of no use to anyone.
local held = false
if not usable or early then
  local lease = redis.call('HGET', KEYS[6], set_name .. ':lease')
  if lease then
    local under, ends = string.match(lease, '^(%S+) (%d+)$')
    held = under == epoch and tonumber(ends) > now
  end
end
if usable and (held or not early) then
  reply[10], reply[12], reply[13] = 'hit', meta, redis.call('HGET', KEYS[6], set_name .. ':body') or ''
elseif held then
  reply[10] = 'held'
else
  redis.call('HSET', KEYS[6], set_name .. ':lease', epoch .. ' ' .. string.format('%.0f', now + tonumber(ARGV[8])))
  if redis.call('PTTL', KEYS[6]) < 0 then
    redis.call('PEXPIRE', KEYS[6], math.ceil(tonumber(ARGV[8]) / 1000))
  end
end
return reply
