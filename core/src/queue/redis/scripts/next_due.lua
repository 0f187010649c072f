-- When the next delayed job of a run is due: a slice of all that is delayed, in the order in which it is due.
-- KEYS: the tag.
-- ARGV: now, run, how many to skip, how many to look at.
-- Returns: 1 if the search is over or else 0; the instant, or ''.
-- Work: O(jobs looked at).

local from, most = tonumber(ARGV[3]), tonumber(ARGV[4])
local found = call('ZRANGE', DELAYED, from, from + most - 1, 'WITHSCORES')
local uuids = {}
for at = 1, #found, 2 do
  uuids[#uuids + 1] = found[at]
end
load(uuids)
for at = 1, #found, 2 do
  local job = read(found[at])
  if job and counts_for(job, ARGV[2]) then
    return { 1, whole(tonumber(found[at + 1])) }
  end
end
return { #found < 2 * most and 1 or 0, '' }
