-- A run that is being cancelled gives up its jobs, a slice at a time.

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
  job.others = #others > 0 and table.concat(others, ',') or nil
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
    elseif not job.others then
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
