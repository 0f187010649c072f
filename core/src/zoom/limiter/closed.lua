-- For how long a lane of Zoom's rate limit is closed.
-- KEYS[1]  until when it is closed
-- returns  microseconds; 0 if it is open
-- O(1).
local till = tonumber(redis.call('GET', KEYS[1]) or 0)
local time = redis.call('TIME')
return math.max(0, till - (time[1] * 1000000 + time[2]))
