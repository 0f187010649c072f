-- Unfinished jobs as they stand.
-- KEYS: the tag.
-- ARGV: now, then the meetings, at most SLICE.
-- Returns: for each: state, owner, due or '', deadline, starts, cause or ''; nothing for one that is not unfinished.
-- Work: O(meetings).

local uuids, found = { unpack(ARGV, 2) }, {}
load(uuids)
local causes = #uuids > 0 and call('HMGET', CAUSES, unpack(uuids))
for at = 2, #ARGV do
  local job = read(ARGV[at])
  found[#found + 1] = job and {
    job.state, job.owner, (job.state == 'd' or job.state == 'z') and job.hold or '',
    job.deadline, tostring(job.starts), causes[at - 1] or '',
  } or {}
end
return found
