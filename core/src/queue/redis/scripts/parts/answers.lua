-- Answers that may not be received.
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
