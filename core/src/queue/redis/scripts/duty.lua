-- The duty that one process has at a time, and its ledger: a hash with token, process, until, ledger.
-- KEYS: the tag.
-- ARGV: now, then one of
--   take TOKEN LEASE PROCESS    unless another's lease lasts
--   keep TOKEN LEASE            if the token is the stored one; so with the next two
--   leave TOKEN
--   put TOKEN LEDGER
--   look
-- Returns: 1 if it was done and 0 if not; of `look`: now, the process, until, the ledger or false.
-- Work: O(1).

local what, token = ARGV[2], ARGV[3]
local held, till = unpack(call('HMGET', DUTY, 'token', 'until'))
if what == 'look' then
  return { whole(now), call('HGET', DUTY, 'process') or '', till or '', call('HGET', DUTY, 'ledger') }
end
if what == 'take' then
  if held and held ~= token and tonumber(till) > now then
    return 0
  end
  call('HSET', DUTY, 'token', token, 'until', whole(now + tonumber(ARGV[4])), 'process', ARGV[5])
  return 1
end
if held ~= token then
  return 0
end
if what == 'keep' then
  call('HSET', DUTY, 'until', whole(now + tonumber(ARGV[4])))
elseif what == 'leave' then
  call('HDEL', DUTY, 'token', 'until', 'process')
else
  call('HSET', DUTY, 'ledger', ARGV[4])
end
return 1
