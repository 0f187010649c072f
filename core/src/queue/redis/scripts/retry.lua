-- Puts what a run has given up back on the queue: a slice of all of it, or the given meetings.
-- KEYS: the tag.
-- ARGV: now, series, number, keep, run, most, then the meetings, at most RETRIED; none for all.
-- Returns: in one text 'ok', how many were put back, how many joined a job of another run, 1 if there is more;
--          or 'unknown'; or 'cancelling': the run's cancelling has to be brought to its end first.
-- Work: O(jobs · log n).

local series, number, keep, run, most = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local said = told(series, number)
if said then
  return said
end
local state, cancelling = unpack(call('HMGET', RUN(run), 'state', 'cancelling'))
if not state then
  return 'unknown'
end
if cancelling then
  return 'cancelling'
end
local uuids = { unpack(ARGV, 7) }
local all = #uuids == 0
if all then
  uuids = call('ZRANGE', GRAVES(run), 0, most - 1)
end

local requeued, joined, seen = 0, 0, {}
local records = #uuids > 0 and call('HMGET', DEAD(run), unpack(uuids))
load(uuids)
for at, uuid in ipairs(uuids) do
  local record = records[at]
  if record and not seen[uuid] then
    -- Asked for twice, it is taken up once.
    seen[uuid] = true
    local deadline, length, rest = string.match(record, '^%d+;%d+;(-?%d+);(%d+);(.*)$')
    local payload = deadline and string.sub(rest, length + 1) or record
    put(DEAD(run), uuid, false)
    local job = read(uuid)
    if job then
      join(job, run)
      joined = joined + 1
    else
      create(uuid, run, deadline or '0', payload)
      requeued = requeued + 1
    end
  end
  place(GRAVES(run), uuid, false)
end
local taken = requeued + joined
dead = -taken
add(run, 'failed', -taken)
add(run, 'pending', taken)
if taken > 0 and state == 'completed' then
  put(RUN(run), 'state', 'running')
  put(RUN(run), 'finished_at', false)
end
news = true
flush()
local answer = table.concat({ 'ok', requeued, joined, all and call('EXISTS', GRAVES(run)) or 0 }, ' ')
tell(series, number, keep, answer)
return done(answer)
