-- How many of a run's jobs are ready, another run's, and held with it: a slice.
-- KEYS: the tag.
-- ARGV: now, run, cursor.
-- Returns: the next cursor, or '0' after the last slice; the count.
-- Work: O(SLICE), as far as ZSCAN keeps to the number it is given.

local next, found = unpack(call('ZSCAN', OTHER(ARGV[2]), ARGV[3], 'COUNT', 200))
local uuids, held = {}, 0
for at = 1, #found, 2 do
  uuids[#uuids + 1] = found[at]
end
load(uuids)
for at = 1, #found, 2 do
  local job = read(found[at])
  if job and job.state == 'r' and call('SISMEMBER', PAUSED, job.owner) == 1 then
    held = held + 1
  end
end
return { next, held }
