-- Renews leases by a whole lease from now.
-- KEYS: the tag.
-- ARGV: now, length of a lease, then for each, at most SLICE: meeting, fence, worker.
-- Returns: for each the new end of the lease, or '' if it is lost.
-- Work: O(leases · log n).

local till = whole(now + ARGV[2])
local answers, uuids = {}, {}
for at = 3, #ARGV, 3 do
  uuids[#uuids + 1] = ARGV[at]
end
load(uuids)
-- Removed first: that is a write which a full Redis takes, and after it the rest.
local held = { 'ZREM', LEASED }
for at = 3, #ARGV, 3 do
  local uuid, fence, worker = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local job = read(uuid)
  if is_held(job, fence, worker) then
    job.hold = table.concat({ fence, till, worker }, ',')
    write(job)
    place(LEASED, uuid, till)
    held[#held + 1] = uuid
    answers[#answers + 1] = till
  else
    answers[#answers + 1] = ''
  end
end
if #held > 2 then
  call(unpack(held))
end
flush()
return answers
