-- Runs as they stand.
-- KEYS: the tag.
-- ARGV: now, then the runs, at most SLICE.
-- Returns: now, then for each run what `run:RUN` and `about:RUN` hold, as field, value…; nothing of one that is unknown.
-- Work: O(runs asked for).

local found = { whole(now) }
for at = 2, #ARGV do
  found[#found + 1] = call('HGETALL', RUN(ARGV[at]))
  found[#found + 1] = call('HGETALL', ABOUT(ARGV[at]))
end
return found
