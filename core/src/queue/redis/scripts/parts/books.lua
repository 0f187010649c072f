-- What a script changes of jobs, and the books and indices that follow from it, made whole by `done`.

-- The field of a run that counts its jobs in a state; ready ones are those that are left over.
local COUNTED = { l = 'leased', d = 'retrying', z = 'waiting' }

local sums = {}     -- run → field → how much it moves
local touched = {}  -- runs whose `ready` changed, or whose `other` grew
local thinned = {}  -- runs whose `other` shrank
local ages = {}     -- instant → by how many the jobs that were enqueued then move
local dead = 0      -- by how many the dead move
local news = false

local function add(run, field, by)
  local fields = sums[run]
  if fields then
    fields[field] = (fields[field] or 0) + by
  else
    sums[run] = { [field] = by }
  end
end

local function add_all(job, field, by)
  add(job.owner, field, by)
  if job.others then
    for run in string.gmatch(job.others, '%w+') do
      add(run, field, by)
    end
  end
end

local function age(instant, jobs)
  ages[instant] = (ages[instant] or 0) + jobs
end

-- Moves a job to another state: `hold` is what its record says of it, `at` when it ends by itself.
local function turn(job, state, hold, at)
  if COUNTED[job.state] then
    add_all(job, COUNTED[job.state], -1)
    place(job.state == 'l' and LEASED or DELAYED, job.uuid, false)
  end
  if COUNTED[state] then
    add_all(job, COUNTED[state], 1)
    place(state == 'l' and LEASED or DELAYED, job.uuid, at)
  end
  if (state == 'r') ~= (job.state == 'r') then
    place(READY(job.owner), job.uuid, state == 'r' and job.deadline)
    place(OTHER(job.owner), job.uuid, state ~= 'r' and job.deadline)
    touched[job.owner] = true
  end
  job.state, job.hold = state, hold
  write(job)
end

-- Takes a job away altogether; the books are the caller's.
local function remove(job)
  local uuid, field = job.uuid, COUNTED[job.state]
  forget(uuid)
  put(JOBS, uuid, false)
  put(CAUSES, uuid, false)
  age(job.enqueued, -1)
  if field then
    place(job.state == 'l' and LEASED or DELAYED, uuid, false)
    add_all(job, field, -1)
  end
  if job.state == 'r' then
    place(READY(job.owner), uuid, false)
    touched[job.owner] = true
  else
    place(OTHER(job.owner), uuid, false)
    thinned[job.owner] = true
  end
  if job.others then
    for run in string.gmatch(job.others, '%w+') do
      place(OTHER(run), uuid, false)
      thinned[run] = true
    end
  end
end

local function bury(job, cause)
  local record = table.concat({ job.starts, whole(now), job.deadline, #cause, cause .. job.payload }, ';')
  remove(job)
  for _, run in ipairs(runs_of(job)) do
    put(DEAD(run), job.uuid, record)
    place(GRAVES(run), job.uuid, 0)
    dead = dead + 1
  end
  add_all(job, 'failed', 1)
  add_all(job, 'pending', -1)
end

-- A job that exists counts for one run more.
local function join(job, run)
  job.others = job.others and job.others .. ',' .. run or run
  write(job)
  place(OTHER(run), job.uuid, job.deadline)
  if COUNTED[job.state] then
    add(run, COUNTED[job.state], 1)
  end
  touched[run] = true
end

local function create(uuid, run, deadline, payload)
  local at = whole(now)
  local job = {
    uuid = uuid, state = 'r', starts = 0, owner = run,
    deadline = deadline, enqueued = at, hold = '', payload = payload,
  }
  known[uuid] = job
  write(job)
  place(READY(run), uuid, deadline)
  age(at, 1)
  touched[run], news = true, true
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

local function mend_touched()
  for run in pairs(touched) do
    mend(run)
    thinned[run] = nil
  end
  touched = {}
end

-- Moves the books. A run that has nothing pending any more has ended.
local function book()
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
      call('HINCRBY', AGED, instant, by)
      call('ZADD', AGES, instant, instant)
    elseif by < 0 and call('HINCRBY', AGED, instant, by) <= 0 then
      call('HDEL', AGED, instant)
      call('ZREM', AGES, instant)
    end
  end
  if dead ~= 0 then
    call('HINCRBY', QUEUE, 'dead', dead)
  end
end

-- Writes what was gathered, brings books and indices up to date, and answers `reply`.
local function done(reply, growing)
  flush(growing)
  book()
  mend_touched()
  for run in pairs(thinned) do
    -- Still live, unless that was its last.
    if call('EXISTS', OTHER(run)) == 0 then
      mend(run)
    end
  end
  if news then
    -- Who may not publish leaves the others to their timers.
    redis.pcall('PUBLISH', NEWS, '')
  end
  return reply
end
