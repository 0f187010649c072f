-- What an idle worker waits for.
-- KEYS: the tag.
-- ARGV: now.
-- Returns: now; 1 if something can be claimed or is to be cut; when the next job is due or the next lease ends, or ''.
-- Work: O(log n).

local claimable = call('EXISTS', CANCELLING) == 1
if not claimable and not call('HGET', QUEUE, 'paused') then
  claimable = call('EXISTS', HEADS(0), HEADS(1)) > 0
end
local next = nil
for _, key in ipairs({ DELAYED, LEASED }) do
  local first = tonumber(call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
  if first and (not next or first < next) then
    next = first
  end
end
return { whole(now), claimable and 1 or 0, next and whole(next) or '' }
