-- Closes one lane of Zoom's rate limit for everybody: no slot before the wait is over, those that were reserved included.
-- KEYS[1]  the lane
-- KEYS[2]  until when it is closed
-- ARGV[1]  microseconds to wait
-- ARGV[2]  the channel on which the others are told
-- ARGV[3]  what they are told
-- O(1).
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local until_then = now + tonumber(ARGV[1])
local lives = math.ceil(tonumber(ARGV[1]) / 1000) + 1000
for _, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or 0) < until_then then
    redis.call('SET', key, string.format('%.0f', until_then), 'PX', lives)
  end
end
-- Who may not publish leaves the others to their next look.
redis.pcall('PUBLISH', ARGV[2], ARGV[3])
return 1
