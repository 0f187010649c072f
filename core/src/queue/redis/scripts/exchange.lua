-- Takes leased jobs back, moves the books of every run that wants them, and leases the most urgent jobs. Before that,
-- a bounded part of what time has brought: leases that ended, jobs that are due, and the next slice of a run whose
-- cancelling was left unfinished.
-- KEYS: the tag.
-- ARGV: now, series, number, keep, worker, starts that count, length of a lease, how many to lease (at most MOST_EXCHANGED; if 0,
--       jobs that come back are all that is looked at), then for each job that comes back, at most MOST_EXCHANGED: meeting, fence, files,
--       bytes, fate, and of finish: the outcome; dead: its cause; retry, snooze: when, its cause, the state to wait in
--       (d or z); release: nothing.
-- Returns: for each job that came back a letter: d done, x dead (a retry whose starts are used up), l lost;
--          of the jobs that were leased meeting, record, meeting…; of those that were abandoned meeting, worker, meeting…
--          A call that was done before gets the letters it got then, and no jobs.
-- Work: O((jobs back + most + CHORES) · log n).

local series, number, keep, worker = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local attempts, lease, most = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local CHORES = 50
local FIRST = 9
-- How many words there are after each fate.
local WORDS = { finish = 1, dead = 1, retry = 3, snooze = 3, release = 0 }
local taken, abandoned = {}, {}

-- Jobs that come back ----------------------------------------------------------------------------------------------------

local soonest = nil   -- when the first delayed job is due
local function delay(job, due, cause, state)
  if not soonest then
    soonest = tonumber(call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')[2]) or math.huge
  end
  if tonumber(due) < soonest then
    -- Who waits has a timer for the first that is due.
    soonest, news = tonumber(due), true
  end
  turn(job, state, due, due)
  put(CAUSES, job.uuid, cause)
end

-- Of a leased job's record what its end takes: its runs, when it was enqueued, and the lease.
local ENDING = '^l%d+;(%w+);([%w,]*);%-?%d+;(%-?%d+);(%d+),(%-?%d+),([^;]*);'
local finished = {}   -- meetings
local finished_of = {}   -- run → those of them that were in its books

local function finish_for(run, uuid, outcome, files, bytes)
  add(run, outcome, 1)
  add(run, 'pending', -1)
  add(run, 'leased', -1)
  if files ~= '0' then
    add(run, 'files', tonumber(files))
  end
  if bytes ~= '0' then
    add(run, 'bytes', tonumber(bytes))
  end
  local its = finished_of[run]
  if its then
    its[#its + 1] = uuid
  else
    finished_of[run] = { uuid }
  end
end

-- The usual end, of which there are so many that no more of a record is looked at than it takes. `at` is where the job stands.
local function finish(uuid, at)
  local owner, others, enqueued, fence, till, holder = string.match(unread(uuid) or '', ENDING)
  if fence ~= ARGV[at + 1] or holder ~= worker or tonumber(till) <= now then
    return 'l'
  end
  local files, bytes, outcome = ARGV[at + 2], ARGV[at + 3], ARGV[at + 5]
  finish_for(owner, uuid, outcome, files, bytes)
  if others ~= '' then
    for run in string.gmatch(others, '%w+') do
      finish_for(run, uuid, outcome, files, bytes)
    end
  end
  age(enqueued, -1)
  forget(uuid)
  finished[#finished + 1] = uuid
  return 'd'
end

local function take_finished_away()
  if #finished > 0 then
    call('ZREM', LEASED, unpack(finished))
    for run, its in pairs(finished_of) do
      call('ZREM', OTHER(run), unpack(its))
      thinned[run] = true
    end
    call('HDEL', JOBS, unpack(finished))
    call('HDEL', CAUSES, unpack(finished))
  end
end

-- What became of a job that is not finished, as a letter. `at` is where the job stands.
local function settle(job, at)
  if not is_held(job, ARGV[at + 1], worker) then
    return 'l'
  end
  if ARGV[at + 2] ~= '0' then
    add_all(job, 'files', tonumber(ARGV[at + 2]))
  end
  if ARGV[at + 3] ~= '0' then
    add_all(job, 'bytes', tonumber(ARGV[at + 3]))
  end
  local fate = ARGV[at + 4]
  if fate == 'dead' then
    bury(job, ARGV[at + 5])
  elseif fate == 'retry' and job.starts >= attempts then
    bury(job, ARGV[at + 6])
    return 'x'
  elseif fate == 'retry' then
    delay(job, ARGV[at + 5], ARGV[at + 6], ARGV[at + 7])
  else
    -- Nobody's failure: the start is given back.
    job.starts = math.max(job.starts - 1, 0)
    if fate == 'snooze' then
      delay(job, ARGV[at + 5], ARGV[at + 6], ARGV[at + 7])
    else
      turn(job, 'r', '')
      news = true
    end
  end
  return 'd'
end

local answer = ''
if ARGV[FIRST] then
  local said = told(series, number)
  if said then
    return { said, taken, abandoned }
  end
  local places, uuids, at = {}, {}, FIRST
  while ARGV[at] do
    places[#places + 1], uuids[#uuids + 1] = at, ARGV[at]
    at = at + 5 + WORDS[ARGV[at + 4]]
  end
  load(uuids)
  local letters, any = {}, false
  for nth, place in ipairs(places) do
    local uuid = uuids[nth]
    local letter = ARGV[place + 4] == 'finish' and finish(uuid, place) or settle(read(uuid), place)
    letters[nth], any = letter, any or letter ~= 'l'
  end
  answer = table.concat(letters)
  if any then
    take_finished_away()
    flush()
    tell(series, number, keep, answer)
  end
end
if most == 0 and ARGV[FIRST] then
  return done({ answer, taken, abandoned })
end

-- What time has brought --------------------------------------------------------------------------------------------------

local ended = call('ZRANGEBYSCORE', LEASED, '-inf', whole(now), 'LIMIT', 0, CHORES)
load(ended)
for _, uuid in ipairs(ended) do
  local job = read(uuid)
  if job and job.state == 'l' then
    local _, _, holder = fence_of(job)
    local detail = 'worker ' .. holder .. ' stopped renewing its lease in start ' .. job.starts
    local cause = cjson.encode({ reason = 'worker_died', detail = detail })
    if job.starts >= attempts then
      bury(job, cause)
    else
      turn(job, 'r', '')
      put(CAUSES, uuid, cause)
    end
    abandoned[#abandoned + 1] = uuid
    abandoned[#abandoned + 1] = holder
  end
  place(LEASED, uuid, false)
end
local room = CHORES - #ended
local due = room > 0 and call('ZRANGEBYSCORE', DELAYED, '-inf', whole(now), 'LIMIT', 0, room) or {}
load(due)
for _, uuid in ipairs(due) do
  local job = read(uuid)
  if job and (job.state == 'd' or job.state == 'z') then
    turn(job, 'r', '')
  end
  place(DELAYED, uuid, false)
end
room = room - #due
local cancelled = room > 0 and call('SRANDMEMBER', CANCELLING)
if cancelled then
  flush()
  cut(cancelled, room)
end
flush()
mend_touched()

-- Jobs that go out -------------------------------------------------------------------------------------------------------

-- Takes at most `most` jobs of a run from those that are ready, none of them later than `latest`: meeting, deadline…
local function pop(run, latest, most)
  if not latest then
    return call('ZPOPMIN', READY(run), most)
  end
  local first = call('ZRANGEBYSCORE', READY(run), '-inf', latest, 'WITHSCORES', 'LIMIT', 0, most)
  if #first > 0 then
    call('ZREMRANGEBYRANK', READY(run), 0, #first / 2 - 1)
  end
  return first
end

-- Of a job's record what its lease changes, and what stands between.
local TAKING = '^%a(%d+)(;(%w+);([%w,]*);(%-?%d+);%-?%d+;)[^;]*(;.*)$'
local till, held = whole(now + lease), 0

local function take(run, latest)
  local first = pop(run, latest, most - held)
  local uuids = {}
  for at = 1, #first, 2 do
    uuids[#uuids + 1] = first[at]
  end
  if #uuids == 0 then
    return
  end
  local records = call('HMGET', JOBS, unpack(uuids))
  -- One sequence for all jobs: a token of a job that was finished and enqueued again never fits its new lease.
  local fence = call('HINCRBY', QUEUE, 'fence', #uuids) - #uuids
  local jobs, leases, indexed = { 'HSET', JOBS }, { 'ZADD', LEASED }, { 'ZADD', OTHER(run) }
  for at, uuid in ipairs(uuids) do
    local starts, runs, owner, others, deadline, payload = string.match(records[at] or '', TAKING)
    if not starts then
      -- One that is lost or cannot be read is handed out as a payload that cannot be read: the claimer gives it up.
      local enqueued = whole(now)
      starts, owner, others, deadline = 0, run, '', whole(tonumber(first[2 * at]))
      runs, payload = ';' .. run .. ';;' .. deadline .. ';' .. enqueued .. ';', ';' .. (records[at] or '')
      age(enqueued, 1)
    end
    add(owner, 'leased', 1)
    if others ~= '' then
      for other in string.gmatch(others, '%w+') do
        add(other, 'leased', 1)
      end
    end
    fence = fence + 1
    local record = 'l' .. starts + 1 .. runs .. fence .. ',' .. till .. ',' .. worker .. payload
    local last = 2 * at
    jobs[last + 1], jobs[last + 2] = uuid, record
    leases[last + 1], leases[last + 2] = till, uuid
    indexed[last + 1], indexed[last + 2] = deadline, uuid
    last = 2 * (held + at)
    taken[last - 1], taken[last] = uuid, record
  end
  call(unpack(jobs))
  call(unpack(leases))
  call(unpack(indexed))
  held = held + #uuids
  thinned[run] = nil
end

if not call('HGET', QUEUE, 'paused') then
  for class = 0, 1 do
    while held < most do
      -- From the run with the most urgent job, all that is not later than the next run's.
      local heads = call('ZRANGE', HEADS(class), 0, 1, 'WITHSCORES')
      local run = heads[1]
      if not run then
        break
      end
      take(run, heads[4])
      local head = call('ZRANGE', READY(run), 0, 0, 'WITHSCORES')[2]
      if head then
        call('ZADD', HEADS(class), head, run)
      else
        call('ZREM', HEADS(class), run)
      end
    end
  end
end
return done({ answer, taken, abandoned })
