-- How many unfinished jobs have their deadline before an instant; of a slice of the runs that have unfinished jobs. A job
-- is counted with its owner.
-- KEYS: the tag.
-- ARGV: now, cursor, the instant.
-- Returns: the next cursor, or '0' after the last slice; the number.
-- Work: O(log n) for ready jobs, and at most 1000 others are looked at.

local next, runs = unpack(call('SSCAN', LIVE, ARGV[2], 'COUNT', 5))
local before, lost, room = '(' .. ARGV[3], 0, 1000
for _, run in ipairs(runs) do
  lost = lost + call('ZCOUNT', READY(run), '-inf', before)
  local others = call('ZRANGEBYSCORE', OTHER(run), '-inf', before, 'LIMIT', 0, room)
  room = room - #others
  load(others)
  for _, uuid in ipairs(others) do
    local job = read(uuid)
    if job and job.owner == run then
      lost = lost + 1
    end
  end
end
return { next, lost }
