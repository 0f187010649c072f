-- Puts a new access token where all processes find it, and lets the next one ask.
-- KEYS[1]  the token: a hash of its number `n` and the sealed token `s`
-- KEYS[2]  the right to ask for a token
-- KEYS[3]  the last number
-- ARGV[1]  who asked
-- ARGV[2]  the sealed token; empty if none was to be had
-- ARGV[3]  milliseconds that it is good for
-- returns  its number, 0 without one
-- O(1).
local number = 0
if ARGV[2] ~= '' then
  number = redis.call('INCR', KEYS[3])
  redis.call('HSET', KEYS[1], 'n', number, 's', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
if redis.call('GET', KEYS[2]) == ARGV[1] then
  redis.call('DEL', KEYS[2])
end
return number
