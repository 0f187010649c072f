-- What a script changes of jobs, and what of books and indices follows from it, made whole by `done`.

-- The field of a run that counts its jobs in a state; ready ones are those that are left over.
local COUNTED = { l = 'leased', d = 'retrying', z = 'waiting' }

local touched = {}  -- runs whose `ready` changed, or whose `other` grew
local dead = 0      -- by how many the dead move
local news = false

local function add_all(job, field, by)
  add(job.owner, field, by)
  if job.others then
    for run in string.gmatch(job.others, '%w+') do
      add(run, field, by)
    end
  end
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

local function mend_touched()
  for run in pairs(touched) do
    mend(run)
    thinned[run] = nil
  end
  touched = {}
end

-- Writes what was gathered, brings books and indices up to date, and answers `reply`.
local function done(reply, growing)
  flush(growing)
  mend_touched()
  balance()
  if dead ~= 0 then
    call('HINCRBY', QUEUE, 'dead', dead)
  end
  if news then
    -- Who may not publish leaves the others to their timers.
    redis.pcall('PUBLISH', NEWS, '')
  end
  return reply
end
