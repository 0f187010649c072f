-- The whole queue by count, and a slice of the runs that have unfinished jobs.
-- KEYS: the tag.
-- ARGV: now, cursor.
-- Returns: the next cursor, or '0' after the last slice; of these runs the nearest deadline or '', and how many jobs
--          their pauses hold; then of the queue: unfinished, leased, delayed, dead, 1 if it is paused, the oldest or ''.
-- Work: O(SLICE), as far as SSCAN keeps to the number it is given.

local next, runs = unpack(call('SSCAN', LIVE, ARGV[2], 'COUNT', 200))
local nearest, held = nil, 0
for _, run in ipairs(runs) do
  for _, key in ipairs({ READY(run), OTHER(run) }) do
    local first = tonumber(call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
    if first and (not nearest or first < nearest) then
      nearest = first
    end
  end
  if call('HEXISTS', RUN(run), 'paused') == 1 then
    held = held + call('ZCARD', READY(run))
  end
end
return {
  next, nearest and whole(nearest) or '', held,
  call('HLEN', JOBS), call('ZCARD', LEASED), call('ZCARD', DELAYED),
  tonumber(call('HGET', QUEUE, 'dead') or 0), call('HEXISTS', QUEUE, 'paused'),
  call('ZRANGE', AGES, 0, 0)[1] or '',
}
