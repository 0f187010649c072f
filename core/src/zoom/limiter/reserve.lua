-- Reserves slots of one lane of Zoom's rate limit (GCRA: the lane's key is the time of its next free slot).
-- KEYS[1]  the lane
-- KEYS[2]  who uses it, by when each last reserved
-- ARGV[1]  microseconds from slot to slot
-- ARGV[2]  microseconds: a slot that is no later than that is made up for, a longer pause is not
-- ARGV[3]  how many slots are wanted
-- ARGV[4]  microseconds that a caller would wait at most for its first slot
-- ARGV[5]  who asks
-- ARGV[6]  microseconds after which one who has not asked again is not counted any more
-- returns  {slots reserved, microseconds until the first of them, how many use the lane}; {0, microseconds, 0} if the
--          wait would be too long
-- O(log users).
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, wanted, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local counted = tonumber(ARGV[6])
local next_slot = tonumber(redis.call('GET', KEYS[1]) or 0)
if next_slot < now - burst then
  next_slot = now
end
local wait = next_slot - now
if wait > longest then
  return {0, wait, 0}
end
local after = next_slot + wanted * interval
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now + burst) / 1000) + 1000)
redis.call('ZADD', KEYS[2], string.format('%.0f', now), ARGV[5])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('(%.0f', now - counted))
redis.call('PEXPIRE', KEYS[2], math.ceil(counted / 1000))
return {wanted, wait, redis.call('ZCARD', KEYS[2])}
