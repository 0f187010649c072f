-- Who holds what, those whose lease ends first at the front.
-- KEYS: the tag.
-- ARGV: now, how many to leave out, most (at most SLICE).
-- Returns: for each: meeting, worker, end of the lease, owner, deadline, starts; nothing for one that cannot be read.
-- Work: O(log n + most).

local from = tonumber(ARGV[2])
local uuids, found = call('ZRANGE', LEASED, from, from + tonumber(ARGV[3]) - 1), {}
load(uuids)
for _, uuid in ipairs(uuids) do
  local job = read(uuid)
  if job and job.state == 'l' then
    local _, till, worker = fence_of(job)
    found[#found + 1] = { uuid, worker, till, job.owner, job.deadline, tostring(job.starts) }
  else
    found[#found + 1] = {}
  end
end
return found
