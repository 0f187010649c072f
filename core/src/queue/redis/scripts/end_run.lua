-- Ends a run unless it has ended.
-- KEYS: the tag.
-- ARGV: now, run, state, because or ''.
-- Returns: the state that stands, or false if there is no such run.
-- Work: O(1).

local run, wanted, because = ARGV[2], ARGV[3], ARGV[4]
local state = call('HGET', RUN(run), 'state')
if state == 'enumerating' or state == 'running' then
  state = wanted
  call('HSET', RUN(run), 'state', state, 'finished_at', whole(now))
  if because ~= '' then
    call('HSET', ABOUT(run), 'because', because)
  end
end
return state
