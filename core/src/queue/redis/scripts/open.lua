-- Marks the store with the version of its forms, if nobody has.
-- KEYS: the tag.
-- ARGV: now, this program's version.
-- Returns: the version of the store.
-- Work: O(1).

local found = call('HGET', QUEUE, 'version')
if not found then
  -- A server that takes no writes now can be opened all the same: writing says so.
  redis.pcall('HSET', QUEUE, 'version', ARGV[2])
end
return found or ARGV[2]
