-- What every script begins with; the names of keys (keys.rs) stand before the parts (scripts.rs) that use them.
-- KEYS[1] is the tag, ARGV[1] the instant to work at in milliseconds, or '' for the server's clock.

local call = redis.call

-- As text, which a command takes in half the time that it needs for a number.
local function whole(number)
  return string.format('%d', number)
end

local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
