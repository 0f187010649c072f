-- The producer of a run lives.
-- KEYS: the tag.
-- ARGV: now, run, until when it will beat again.
-- Returns: 1, or 0 if there is no such run.
-- Work: O(1).

if call('EXISTS', RUN(ARGV[2])) == 0 then
  return 0
end
call('HSET', RUN(ARGV[2]), 'beat_until', ARGV[3])
return 1
