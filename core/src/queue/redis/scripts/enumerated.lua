-- Everything is listed and on the queue.
-- KEYS: the tag.
-- ARGV: now, run, unproven.
-- Returns: the state that stands, or false if there is no such run.
-- Work: O(1).

local run = ARGV[2]
local state, pending = unpack(call('HMGET', RUN(run), 'state', 'pending'))
if state == 'enumerating' then
  state = 'running'
  call('HSET', ABOUT(run), 'unproven', ARGV[3])
  call('HSET', RUN(run), 'state', state)
end
if state == 'running' and (pending or '0') == '0' then
  state = 'completed'
  call('HSET', RUN(run), 'state', state, 'finished_at', whole(now))
end
return state
