-- The books: how many jobs of each run are where, how old they are, and which runs are served.

local sums = {}     -- run → field → how much it moves
local thinned = {}  -- runs whose `other` shrank
local ages = {}     -- instant → by how many the jobs that were enqueued then move

local function add(run, field, by)
  local fields = sums[run]
  if not fields then
    -- With what moves in most calls, so that it need not grow.
    fields = { pending = 0, leased = 0, recovered = 0, files = 0, bytes = 0 }
    sums[run] = fields
  end
  fields[field] = (fields[field] or 0) + by
end

local function age(instant, jobs)
  ages[instant] = (ages[instant] or 0) + jobs
end

-- Whether the run is served, and its place among the runs that are.
local function mend(run)
  local class, paused, cancelling = unpack(call('HMGET', RUN(run), 'class', 'paused', 'cancelling'))
  if not class then
    return
  end
  local head = call('ZRANGE', READY(run), 0, 0, 'WITHSCORES')
  if head[2] and not paused and not cancelling then
    call('ZADD', HEADS(class), head[2], run)
  else
    call('ZREM', HEADS(class), run)
  end
  if head[2] or call('EXISTS', OTHER(run)) == 1 then
    call('SADD', LIVE, run)
  else
    call('SREM', LIVE, run)
  end
end

-- Moves the books by what was gathered. A run that has nothing pending any more has ended; one that was thinned is still
-- live, unless that was its last.
local function balance()
  for run, fields in pairs(sums) do
    for field, by in pairs(fields) do
      local left = by ~= 0 and call('HINCRBY', RUN(run), field, whole(by))
      if left == 0 and by < 0 and field == 'pending' and call('HGET', RUN(run), 'state') == 'running' then
        call('HSET', RUN(run), 'state', 'completed', 'finished_at', whole(now))
      end
    end
  end
  for instant, by in pairs(ages) do
    if by > 0 then
      call('HINCRBY', AGED, instant, whole(by))
      call('ZADD', AGES, instant, instant)
    elseif by < 0 and call('HINCRBY', AGED, instant, whole(by)) <= 0 then
      call('HDEL', AGED, instant)
      call('ZREM', AGES, instant)
    end
  end
  for run in pairs(thinned) do
    if call('EXISTS', OTHER(run)) == 0 then
      mend(run)
    end
  end
end
