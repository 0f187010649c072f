-- Begins to cancel a run, or goes on with it: one slice of its jobs a call.
-- KEYS: the tag.
-- ARGV: now, series, number, keep, run, most jobs.
-- Returns: in one text 1 if it is through or else 0, the state of the run, and since it was last told to be through how
--          many jobs were removed and how many were left to others; or '' if there is no such run.
-- Work: O(most · runs that want a job · log n).

local series, number, keep, run, most = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local said = told(series, number)
if said then
  return said
end
local state, class, cancelling = unpack(call('HMGET', RUN(run), 'state', 'class', 'cancelling'))
if not state then
  return ''
end
local left = call('EXISTS', READY(run), OTHER(run)) > 0
if not cancelling and (left or state == 'enumerating' or state == 'running') then
  -- A write that a full Redis takes, so that it takes the rest: cancelling makes room.
  call('ZREM', HEADS(class), run)
  state, cancelling = 'cancelled', true
  call('HSET', RUN(run), 'state', state, 'finished_at', whole(now), 'cancelling', 1)
  call('SADD', CANCELLING, run)
end
local through = true
if cancelling then
  through = cut(run, most)
end
local removed, passed = unpack(call('HMGET', RUN(run), 'removed', 'passed_on'))
if through then
  call('HDEL', RUN(run), 'removed', 'passed_on')
end
news = true
local answer = table.concat({ through and 1 or 0, state, removed or 0, passed or 0 }, ' ')
tell(series, number, keep, answer)
return done(answer)
