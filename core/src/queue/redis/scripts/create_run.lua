-- Records a new run with empty books.
-- KEYS: the tag.
-- ARGV: now, series, number, keep, run, class, state, grace, started, finished or '', request, unproven, because or ''.
-- Returns: 'ok' or 'exists'.
-- Work: O(log runs).

local _, series, number, keep, run, class, state, grace, started, finished, request, unproven, because = unpack(ARGV)
if told(series, number) then
  return 'ok'
end
if call('EXISTS', RUN(run)) == 1 then
  return 'exists'
end
call('HSET', RUN(run), 'class', class, 'state', state, 'beat_until', whole(now + grace), 'started_at', started)
if finished ~= '' then
  call('HSET', RUN(run), 'finished_at', finished)
end
call('HSET', ABOUT(run), 'request', request, 'unproven', unproven)
if because ~= '' then
  call('HSET', ABOUT(run), 'because', because)
end
-- All of one score: in the order of their ids, which is that of their creation.
call('ZADD', RUNS, 0, run)
tell(series, number, keep, 'ok')
return 'ok'
