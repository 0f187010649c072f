-- What a script is made of besides its own text: the names of the keys (keys.rs), this part, and those that scripts.rs names.
-- KEYS[1] is the tag, ARGV[1] the instant to work at in milliseconds, or '' for the server's clock.

local call = redis.call

local function whole(number)
  return string.format('%.0f', number)
end

local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
