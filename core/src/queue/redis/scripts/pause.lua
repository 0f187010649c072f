-- Holds back the jobs of a run, or of all, or lets them go.
-- KEYS: the tag.
-- ARGV: now, run or '' for the whole queue, 1 to pause or 0 to resume.
-- Returns: 1, or 0 if there is no such run.
-- Work: O(log n).

local run, paused = ARGV[2], ARGV[3] == '1'
local place = run == '' and QUEUE or RUN(run)
if run ~= '' and call('EXISTS', place) == 0 then
  return 0
end
if paused then
  call('HSET', place, 'paused', 1)
else
  call('HDEL', place, 'paused')
end
if run ~= '' then
  call(paused and 'SADD' or 'SREM', PAUSED, run)
  touched[run] = true
end
news = true
return done(1)
