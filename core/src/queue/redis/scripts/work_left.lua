-- How the unfinished jobs of a run stand, by count.
-- KEYS: the tag.
-- ARGV: now, run.
-- Returns: ready jobs of its own, all others, of these leased, retrying, waiting for Zoom; 1 if the queue is paused, 1
--          if the run is, 1 if any run is; the nearest deadline or ''.
-- Work: O(log n).

local run = ARGV[2]
local leased, retrying, waiting, paused = unpack(call('HMGET', RUN(run), 'leased', 'retrying', 'waiting', 'paused'))
local nearest = nil
for _, key in ipairs({ READY(run), OTHER(run) }) do
  local first = tonumber(call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
  if first and (not nearest or first < nearest) then
    nearest = first
  end
end
return {
  call('ZCARD', READY(run)), call('ZCARD', OTHER(run)),
  tonumber(leased or 0), tonumber(retrying or 0), tonumber(waiting or 0),
  call('HEXISTS', QUEUE, 'paused'), paused and 1 or 0, call('EXISTS', PAUSED),
  nearest and whole(nearest) or '',
}
