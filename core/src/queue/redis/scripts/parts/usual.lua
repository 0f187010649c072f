-- The usual call: jobs come back finished while their leases hold, and nothing waits that time has brought. It stands
-- before all that other calls need, and returns before it: dozens of closures cost as much as ten commands. A command costs
-- more than what it does, so there are few.

local series, number, keep, worker = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local most, instant = tonumber(ARGV[8]), whole(now)
-- Where the first job that comes back stands.
local FIRST = 9
local comes_back = ARGV[FIRST] ~= nil
-- For how long nobody looks for what time has brought, in milliseconds. Who has nothing to give back looks always, so that
-- a worker that was woken for a job gets it.
local CALM = 10
local paused, looked = false, false
if most > 0 then
  paused, looked = unpack(call('HMGET', QUEUE, 'paused', 'looked'))
end
local taken, held, till = {}, 0, whole(now + ARGV[7])

-- Jobs that go out -------------------------------------------------------------------------------------------------------

-- Of a job's record what its lease changes, and what stands between.
local TAKING = '^%a(%d+)(;%w+;([%w,]*);%-?%d+;%-?%d+;)[^;]*(;.*)$'

-- Leases at most `room` jobs of a run, the most urgent, none of them later than `latest`.
local function take(run, latest, room)
  -- Meeting, deadline…
  local first
  if not latest then
    first = call('ZPOPMIN', READY(run), room)
  else
    first = call('ZRANGEBYSCORE', READY(run), '-inf', latest, 'WITHSCORES', 'LIMIT', '0', room)
    if #first > 0 then
      call('ZREMRANGEBYRANK', READY(run), '0', #first / 2 - 1)
    end
  end
  local jobs = #first / 2
  if jobs == 0 then
    return
  end
  local uuids = {}
  for nth = 1, jobs do
    uuids[nth] = first[2 * nth - 1]
  end
  local records = call('HMGET', JOBS, unpack(uuids))
  -- One sequence for all jobs: a token of a job that was finished and enqueued again never fits its new lease.
  local fence = call('HINCRBY', QUEUE, 'fence', whole(jobs)) - jobs
  -- As long as they will be, so that they need not grow.
  local written, leased = { 'HSET', JOBS, unpack(first) }, { 'ZADD', LEASED, unpack(first) }
  local indexed = { 'ZADD', OTHER(run), unpack(first) }
  local lease_of = ',' .. till .. ',' .. worker
  for nth, uuid in ipairs(uuids) do
    local starts, runs, others, payload = string.match(records[nth] or '', TAKING)
    if not starts then
      -- One that is lost or cannot be read is handed out as a payload that cannot be read: the claimer gives it up.
      starts, others = 0, ''
      runs = ';' .. run .. ';;' .. whole(tonumber(first[2 * nth])) .. ';' .. instant .. ';'
      payload = ';' .. (records[nth] or '')
      age(instant, 1)
    end
    if others ~= '' then
      for other in string.gmatch(others, '%w+') do
        add(other, 'leased', 1)
      end
    end
    fence = fence + 1
    local record = 'l' .. whole(starts + 1) .. runs .. whole(fence) .. lease_of .. payload
    local last = 2 * nth
    written[last + 2] = record
    leased[last + 1], leased[last + 2] = till, uuid
    indexed[last + 1], indexed[last + 2] = first[last], uuid
    last = 2 * (held + nth)
    taken[last - 1], taken[last] = uuid, record
  end
  add(run, 'leased', jobs)
  call(unpack(written))
  call(unpack(leased))
  call(unpack(indexed))
  held = held + jobs
  thinned[run] = nil
end

-- From the run with the most urgent job, all that is not later than the next run's; then from that one.
local function hand_out()
  if paused then
    return
  end
  for class = 0, 1 do
    while held < most do
      local places = HEADS(class)
      local run, _, _, latest = unpack(call('ZRANGE', places, '0', '1', 'WITHSCORES'))
      if not run then
        break
      end
      take(run, latest, whole(most - held))
      local head = call('ZRANGE', READY(run), '0', '0', 'WITHSCORES')[2]
      if head then
        call('ZADD', places, head, run)
      else
        call('ZREM', places, run)
      end
    end
  end
end

-- Jobs that come back finished --------------------------------------------------------------------------------------------

-- Of a leased job's record what its end takes: its runs, when it was enqueued, and the lease.
local ENDING = '^l%d+;(%w+);([%w,]*);%-?%d+;(%-?%d+);(%d+),(%-?%d+),([^;]*);'
-- How many words there are of each.
local WORDS = 6

local finished_of = {}   -- run → the meetings that were in its books

local function finish_for(run, uuid, files, bytes, outcome)
  add(run, outcome, 1)
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

-- The meetings that came back, if each is finished under a lease that holds, and only once. Nothing is written yet.
local function all_finished()
  local uuids, once = {}, {}
  for at = FIRST, #ARGV, WORDS do
    local uuid = ARGV[at]
    if ARGV[at + 4] ~= 'finish' or once[uuid] then
      return nil
    end
    uuids[#uuids + 1], once[uuid] = uuid, true
  end
  local records, at = call('HMGET', JOBS, unpack(uuids)), FIRST
  for nth, uuid in ipairs(uuids) do
    local owner, others, enqueued, fence, ends, holder = string.match(records[nth] or '', ENDING)
    if fence ~= ARGV[at + 1] or holder ~= worker or tonumber(ends) <= now then
      sums, ages = {}, {}
      return nil
    end
    finish_for(owner, uuid, ARGV[at + 2], ARGV[at + 3], ARGV[at + 5])
    if others ~= '' then
      for run in string.gmatch(others, '%w+') do
        finish_for(run, uuid, ARGV[at + 2], ARGV[at + 3], ARGV[at + 5])
      end
    end
    age(enqueued, -1)
    at = at + WORDS
  end
  return uuids
end

local function take_away(uuids)
  call('ZREM', LEASED, unpack(uuids))
  for run, its in pairs(finished_of) do
    call('ZREM', OTHER(run), unpack(its))
    add(run, 'pending', -#its)
    add(run, 'leased', -#its)
    thinned[run] = true
  end
  call('HDEL', JOBS, unpack(uuids))
  call('HDEL', CAUSES, unpack(uuids))
end

local calm = comes_back and (most == 0 or looked and now >= tonumber(looked) and now < looked + CALM)
local nothing = calm or call('ZCOUNT', LEASED, '-inf', instant) + call('ZCOUNT', DELAYED, '-inf', instant)
  + call('EXISTS', CANCELLING) == 0
local finished = nothing and comes_back and all_finished()
if nothing and not comes_back or finished then
  local answer = ''
  if finished then
    -- It was not done before: the leases would have ended then. Nor was it overtaken: for as long as they hold it is made
    -- again, and nothing else.
    answer = string.rep('d', #finished)
    take_away(finished)
    tell(series, number, keep, answer)
    if not calm then
      call('HSET', QUEUE, 'looked', instant)
    end
  end
  hand_out()
  balance()
  return { answer, taken, {} }
end
