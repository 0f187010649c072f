-- Jobs' records. All that are needed are read at once (`load`), changed in memory and gathered as what is to be written.
--
-- A job's record: STATE STARTS;OWNER;OTHERS;DEADLINE;ENQUEUED;HOLD;PAYLOAD, without the space.
--   STATE   r ready, l leased, d delayed, z delayed until Zoom has made the archive
--   OTHERS  the runs besides the owner in whose books it is pending, with commas; in memory nil if there are none
--   HOLD    of a leased job: fence,end,worker; of a delayed one: due; else nothing
-- A dead job's record: STARTS;DIED;DEADLINE;LENGTH;CAUSE PAYLOAD, without the space; LENGTH is that of CAUSE in bytes.

local texts = {}    -- meeting → its record as it was read, or false if there is none
local known = {}    -- meeting → its job, or false if there is none that can be read

local RECORD = '^(%a)(%d+);(%w+);([%w,]*);(-?%d+);(-?%d+);([^;]*);(.*)$'

local function parse(uuid, text)
  local state, starts, owner, others, deadline, enqueued, hold, payload = string.match(text, RECORD)
  if not state then
    return false
  end
  local job = {
    uuid = uuid, state = state, starts = tonumber(starts), owner = owner,
    deadline = deadline, enqueued = enqueued, hold = hold, payload = payload,
  }
  if others ~= '' then
    job.others = others
  end
  return job
end

-- Reads the records of these meetings, so that `read` has them.
local function load(uuids)
  if #uuids > 0 then
    local found = call('HMGET', JOBS, unpack(uuids))
    for at, uuid in ipairs(uuids) do
      if texts[uuid] == nil then
        texts[uuid] = found[at]
      end
    end
  end
end

-- False if there is none, or none that can be read.
local function read(uuid)
  local job = known[uuid]
  if job == nil then
    if texts[uuid] == nil then
      load({ uuid })
    end
    local text = texts[uuid]
    job = text and parse(uuid, text)
    known[uuid] = job
  end
  return job
end

-- From now on there is none.
local function forget(uuid)
  texts[uuid], known[uuid] = false, false
end

local function text_of(job)
  return job.state .. job.starts .. ';' .. job.owner .. ';' .. (job.others or '') .. ';' .. job.deadline .. ';'
    .. job.enqueued .. ';' .. job.hold .. ';' .. job.payload
end

local function write(job)
  put(JOBS, job.uuid, text_of(job))
end

-- The owner first.
local function runs_of(job)
  local runs = { job.owner }
  for run in string.gmatch(job.others or '', '%w+') do
    runs[#runs + 1] = run
  end
  return runs
end

local function counts_for(job, run)
  return job.owner == run or job.others ~= nil and string.find(',' .. job.others .. ',', ',' .. run .. ',', 1, true) ~= nil
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
