-- The epoch of a scope, or false if there is none. That of one document (`document:<id>`) is made of the `base` of all, which
-- is lost with the hash as a whole, and of what its last change left, so that only documents that changed need a field.
local function epoch_of(key, scope)
  if not string.find(scope, ':', 1, true) then return redis.call('HGET', key, scope) end
  local parts = redis.call('HMGET', key, 'base', scope)
  return parts[1] and parts[1] .. ':' .. (parts[2] or '-')
end

