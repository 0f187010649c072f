-- What every script begins with, after the names of the keys (keys.rs). KEYS[1] is the tag, ARGV[1] the instant to work
-- at in milliseconds, or '' for the server's clock.
--
-- A job's record: STATE STARTS;OWNER;OTHERS;DEADLINE;ENQUEUED;HOLD;PAYLOAD, without the space.
--   STATE   r ready, l leased, d delayed, z delayed until Zoom has made the archive
--   OTHERS  the runs besides the owner in whose books it is pending, with commas
--   HOLD    of a leased job: fence,end,worker; of a delayed one: due; else nothing
-- A dead job's record: STARTS;DIED;DEADLINE;LENGTH;CAUSE PAYLOAD, without the space; LENGTH is that of CAUSE in bytes.
--
-- A command costs a script as much as ten lines of Lua, so a script does few for however many jobs: it reads all the
-- records that it needs at once (`load`), changes them in memory, gathers what is to be written and writes that by key
-- (`flush`). What it reads of an index after that is up to date; before, it is not.

local call = redis.call
-- The field of a run that counts its jobs in a state; ready ones are those that are left over.
local COUNTED = { l = 'leased', d = 'retrying', z = 'waiting' }

local function whole(number)
  return string.format('%.0f', number)
end

local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Writes -------------------------------------------------------------------------------------------------------------

local hashes = {}   -- key → field → what it is to hold, or false if it goes
local zsets = {}    -- key → member → its score, or false if it goes

local function put(key, field, value)
  local fields = hashes[key]
  if not fields then
    fields = {}
    hashes[key] = fields
  end
  fields[field] = value
end

local function place(key, member, score)
  local members = zsets[key]
  if not members then
    members = {}
    zsets[key] = members
  end
  members[member] = score
end

-- The two commands of one key, as lists: what takes away, what adds; nil for one that has nothing to do.
local function commands(key, changes, take, add, scored)
  local taken, added, gone, new = { take, key }, { add, key }, 2, 2
  for name, value in pairs(changes) do
    if not value then
      gone = gone + 1
      taken[gone] = name
    else
      added[new + 1], added[new + 2] = scored and value or name, scored and name or value
      new = new + 2
    end
  end
  return gone > 2 and taken, new > 2 and added
end

-- Does what was gathered. What takes away is first, unless the script makes a store fuller: a full Redis refuses that at
-- its first write, and lets a script that began otherwise go on.
local function flush(growing)
  local taking, adding = {}, {}
  for key, members in pairs(zsets) do
    taking[#taking + 1], adding[#adding + 1] = commands(key, members, 'ZREM', 'ZADD', true)
  end
  for key, fields in pairs(hashes) do
    taking[#taking + 1], adding[#adding + 1] = commands(key, fields, 'HDEL', 'HSET', false)
  end
  hashes, zsets = {}, {}
  for _, all in ipairs(growing and { adding, taking } or { taking, adding }) do
    for _, command in ipairs(all) do
      if command then
        call(unpack(command))
      end
    end
  end
end

-- Records ------------------------------------------------------------------------------------------------------------

local known = {}    -- meeting → its job, or false if there is none that can be read

local function parse(uuid, text)
  local state, starts, owner, others, deadline, enqueued, hold, payload =
    string.match(text, '^(%a)(%d+);(%w+);([%w,]*);(-?%d+);(-?%d+);([^;]*);(.*)$')
  if not state then
    return false
  end
  return {
    uuid = uuid, state = state, starts = tonumber(starts), owner = owner, others = others,
    deadline = deadline, enqueued = enqueued, hold = hold, payload = payload,
  }
end

-- Reads the records of these meetings, so that `read` has them.
local function load(uuids)
  if #uuids > 0 then
    local texts = call('HMGET', JOBS, unpack(uuids))
    for at, uuid in ipairs(uuids) do
      if known[uuid] == nil then
        known[uuid] = texts[at] and parse(uuid, texts[at])
      end
    end
  end
end

-- False if there is none, or none that can be read.
local function read(uuid)
  if known[uuid] == nil then
    load({ uuid })
  end
  return known[uuid]
end

local function text_of(job)
  return table.concat({
    job.state .. job.starts, job.owner, job.others, job.deadline, job.enqueued, job.hold, job.payload,
  }, ';')
end

local function write(job)
  put(JOBS, job.uuid, text_of(job))
end

-- The owner first.
local function runs_of(job)
  local runs = { job.owner }
  if job.others ~= '' then
    for run in string.gmatch(job.others, '%w+') do
      runs[#runs + 1] = run
    end
  end
  return runs
end

local function counts_for(job, run)
  return job.owner == run or string.find(',' .. job.others .. ',', ',' .. run .. ',', 1, true) ~= nil
end

local function fence_of(job)
  return string.match(job.hold, '^(%d+),(-?%d+),(.*)$')
end

-- Whether the lease still holds the job.
local function is_held(job, fence, worker)
  if not job or job.state ~= 'l' then
    return false
  end
  local given, till, holder = fence_of(job)
  return given == fence and holder == worker and tonumber(till) > now
end

-- What a script has changed, made whole by `done` ----------------------------------------------------------------------

local sums = {}     -- run → field → how much it moves
local touched = {}  -- runs whose `ready` changed, or whose `other` grew
local thinned = {}  -- runs whose `other` shrank
local ages = {}     -- instant → by how many the jobs that were enqueued then move
local dead = 0      -- by how many the dead move
local news = false

local function add(run, field, by)
  local fields = sums[run]
  if not fields then
    fields = {}
    sums[run] = fields
  end
  fields[field] = (fields[field] or 0) + by
end

local function add_all(job, field, by)
  add(job.owner, field, by)
  if job.others ~= '' then
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
  known[uuid] = false
  put(JOBS, uuid, false)
  put(CAUSES, uuid, false)
  age(job.enqueued, -1)
  if field then
    place(job.state == 'l' and LEASED or DELAYED, uuid, false)
    add_all(job, field, -1)
  end
  for _, run in ipairs(runs_of(job)) do
    if run == job.owner and job.state == 'r' then
      place(READY(run), uuid, false)
      touched[run] = true
    else
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
  job.others = job.others == '' and run or job.others .. ',' .. run
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
    uuid = uuid, state = 'r', starts = 0, owner = run, others = '',
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

-- Answers that may not be received ---------------------------------------------------------------------------------------
-- Of a series of calls one is under way at a time, so its last answer is all that can be asked for again. It is gone
-- after `keep` milliseconds.

-- What the call was answered, if it was done before.
local function told(series, number)
  local said = call('GET', TOLD(series))
  if said then
    local last, answer = string.match(said, '^(%d+) (.*)$')
    if last == number then
      return answer
    end
    if tonumber(last) > tonumber(number) then
      -- It was on its way for so long that it was sent again and answered: nobody waits for it.
      error('OLD this call was overtaken by its successors')
    end
  end
end

local function tell(series, number, keep, answer)
  call('SET', TOLD(series), number .. ' ' .. answer, 'PX', keep)
end

-- Cancelling -------------------------------------------------------------------------------------------------------------

-- Leaves a job to the others who want it; an owner's job to the first of them in the order in which runs are served.
local function pass_on(job, run)
  if COUNTED[job.state] then
    add(run, COUNTED[job.state], -1)
  end
  local owner, class = job.owner, nil
  local rest = {}
  for _, other in ipairs(runs_of(job)) do
    if other ~= run then
      rest[#rest + 1] = other
      local its = call('HGET', RUN(other), 'class') or '9'
      if job.owner == run and (not class or its < class or (its == class and other < owner)) then
        owner, class = other, its
      end
    end
  end
  place(OTHER(run), job.uuid, false)
  if owner ~= job.owner and job.state == 'r' then
    place(READY(run), job.uuid, false)
    place(OTHER(owner), job.uuid, false)
    place(READY(owner), job.uuid, job.deadline)
    news = true
  end
  touched[run], touched[owner] = true, true
  job.owner = owner
  local others = {}
  for _, other in ipairs(rest) do
    if other ~= owner then
      others[#others + 1] = other
    end
  end
  job.others = table.concat(others, ',')
  write(job)
end

-- Takes at most `most` jobs from a run that is being cancelled; whether it was the last slice.
local function cut(run, most)
  local jobs = call('ZRANGE', READY(run), 0, most - 1)
  if #jobs < most then
    for _, uuid in ipairs(call('ZRANGE', OTHER(run), 0, most - #jobs - 1)) do
      jobs[#jobs + 1] = uuid
    end
  end
  load(jobs)
  local removed, passed = 0, 0
  for _, uuid in ipairs(jobs) do
    local job = read(uuid)
    if not job or not counts_for(job, run) then
      place(READY(run), uuid, false)
      place(OTHER(run), uuid, false)
    elseif job.others == '' then
      remove(job)
      removed = removed + 1
    else
      pass_on(job, run)
      passed = passed + 1
    end
  end
  touched[run] = true
  flush()
  if removed > 0 then
    call('HINCRBY', RUN(run), 'removed', removed)
  end
  if passed > 0 then
    call('HINCRBY', RUN(run), 'passed_on', passed)
  end
  if #jobs < most then
    call('HDEL', RUN(run), 'cancelling')
    call('SREM', CANCELLING, run)
    return true
  end
  return false
end
