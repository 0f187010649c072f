-- Takes leased jobs back, moves the books of every run that wants them, and leases the most urgent jobs. Before that,
-- a bounded part of what time has brought: leases that ended, jobs that are due, and the next slice of a run whose
-- cancelling was left unfinished. The usual call has returned before this text (parts/usual.lua).
-- KEYS: the tag.
-- ARGV: now, series, number, keep, worker, starts that count, length of a lease, how many to lease (at most MOST_EXCHANGED; if 0,
--       jobs that come back are all that is looked at), then for each job that comes back, at most MOST_EXCHANGED: meeting, fence, files,
--       bytes, fate, and of finish: the outcome; dead: its cause; retry, snooze: when, its cause, the state to wait in
--       (d or z); release: nothing.
-- Returns: for each job that came back a letter: d done, x dead (a retry whose starts are used up), l lost;
--          of the jobs that were leased meeting, record, meeting…; of those that were abandoned meeting, worker, meeting…
--          A call that was done before gets the letters it got then, and no jobs.
-- Work: O((jobs back + most + CHORES) · log n).

local attempts = tonumber(ARGV[6])
local CHORES = 50
-- How many words there are after each fate.
local AFTER = { finish = 1, dead = 1, retry = 3, snooze = 3, release = 0 }
local abandoned = {}

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

-- What became of a job, as a letter. `at` is where it stands.
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
  if fate == 'finish' then
    remove(job)
    add_all(job, ARGV[at + 5], 1)
    add_all(job, 'pending', -1)
  elseif fate == 'dead' then
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
if comes_back then
  local said = told(series, number)
  if said then
    return { said, taken, abandoned }
  end
  local places, uuids, at = {}, {}, FIRST
  while ARGV[at] do
    places[#places + 1], uuids[#uuids + 1] = at, ARGV[at]
    at = at + 5 + AFTER[ARGV[at + 4]]
  end
  load(uuids)
  local letters, any = {}, false
  for nth, place in ipairs(places) do
    local letter = settle(read(uuids[nth]), place)
    letters[nth], any = letter, any or letter ~= 'l'
  end
  answer = table.concat(letters)
  if any then
    flush()
    tell(series, number, keep, answer)
  end
end
if most == 0 and comes_back then
  return done({ answer, taken, abandoned })
end

-- What time has brought --------------------------------------------------------------------------------------------------

-- For how long a job rests after a lease that ended: lease.rs says why.
local function rest(job)
  if job.starts < 2 then
    return 0
  end
  local share = 7 * job.starts
  for at = 1, #job.uuid do
    share = share + string.byte(job.uuid, at)
  end
  return share % 16 * 60
end

local ended = call('ZRANGEBYSCORE', LEASED, '-inf', instant, 'LIMIT', 0, CHORES)
load(ended)
for _, uuid in ipairs(ended) do
  local job = read(uuid)
  if job and job.state == 'l' then
    local _, ends, holder = fence_of(job)
    local due = ends + rest(job)
    local detail = 'worker ' .. holder .. ' stopped renewing its lease in start ' .. job.starts
    local cause = cjson.encode({ reason = 'worker_died', detail = detail })
    if job.starts >= attempts then
      bury(job, cause)
    elseif due > now then
      delay(job, whole(due), cause, 'd')
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
local due = room > 0 and call('ZRANGEBYSCORE', DELAYED, '-inf', instant, 'LIMIT', 0, room) or {}
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
hand_out()
return done({ answer, taken, abandoned })
