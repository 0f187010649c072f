-- What a run has given up, in the order of meetings.
-- KEYS: the tag.
-- ARGV: now, run, meeting to begin after or '', most (at most SLICE).
-- Returns: meeting, its record, meeting…
-- Work: O(most + log n).

local after = ARGV[3] == '' and '-' or '(' .. ARGV[3]
local found = {}
for _, uuid in ipairs(call('ZRANGEBYLEX', GRAVES(ARGV[2]), after, '+', 'LIMIT', 0, ARGV[4])) do
  found[#found + 1] = uuid
  found[#found + 1] = call('HGET', DEAD(ARGV[2]), uuid) or ''
end
return found
