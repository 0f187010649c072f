-- Puts a batch on the queue and into the run's books.
-- KEYS: the tag.
-- ARGV: now, series, number, keep, run, present, excluded, indeterminate, the number of unfinished jobs at which nothing is
--       done or '', then for each job, at most BATCH:
--       meeting, deadline, payload, 1 if it is missing altogether, 1 if Zoom's archive is complete.
-- Returns: 'ok', then for each job N (new), A (already) or D and its owner;
--          or 'unknown'; or 'full'; or 'over' and the state of the run; all in one text, with spaces.
-- Work: O(jobs · log n).

local series, number, keep, run = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local said = told(series, number)
if said then
  return said
end
local state = call('HGET', RUN(run), 'state')
if not state then
  return 'unknown'
end
if state ~= 'enumerating' and state ~= 'running' then
  return 'over ' .. state
end
local mark = tonumber(ARGV[9])
if mark and call('HLEN', JOBS) >= mark then
  return 'full'
end

local uuids = {}
for at = 10, #ARGV, 5 do
  uuids[#uuids + 1] = ARGV[at]
end
load(uuids)
-- What this run has given up is counted already, and `retry` takes it up again.
local graves = call('EXISTS', DEAD(run)) == 1
local answer = { 'ok' }
local detected, missing = 0, 0
for at = 10, #ARGV, 5 do
  local uuid = ARGV[at]
  local verdict = 'A'
  if not graves or call('HEXISTS', DEAD(run), uuid) == 0 then
    local job = read(uuid)
    if not job then
      create(uuid, run, ARGV[at + 1], ARGV[at + 2])
      verdict = 'N'
    else
      if job.state == 'z' and ARGV[at + 4] == '1' then
        -- What waits for Zoom to finish the archive need not wait longer.
        turn(job, 'r', '')
        news = true
      end
      if not counts_for(job, run) then
        join(job, run)
        verdict = 'D' .. job.owner
      end
    end
  end
  if verdict ~= 'A' then
    detected = detected + 1
    missing = missing + tonumber(ARGV[at + 3])
  end
  answer[#answer + 1] = verdict
end
local present, excluded, indeterminate = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
add(run, 'listed', detected + present + excluded + indeterminate)
add(run, 'detected', detected)
add(run, 'pending', detected)
add(run, 'missing', missing)
add(run, 'incomplete', detected - missing)
add(run, 'present', present)
add(run, 'excluded', excluded)
add(run, 'indeterminate', indeterminate)
local reply = done(table.concat(answer, ' '), true)
tell(series, number, keep, reply)
return reply
